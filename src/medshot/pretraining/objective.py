"""What every objective of pretraining is: a loss of an encoder on a batch of one data set.

    @objective("reconstruct")
    class Reconstruct(Objective):
        def loss(self, x, y, which, rng): ...

A new objective is one file in this folder.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.registry import Registry
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder

Class = TypeVar("Class", bound=type["Objective"])

_OBJECTIVES: Registry[type["Objective"]] = Registry("objective", "medshot.pretraining")


class Objective(nn.Module, ABC):
    """An encoder, and what is thrown away once it is pretrained: a decoder, heads.

    A subclass takes the encoder and the data sets, which are in the form (`channels`, the
    encoder's size) that it asks for; its further keyword arguments are its options.
    """

    source: ClassVar[str]  # author, year, identifier
    colour: ClassVar[bool] = False  # True: images come with three channels, whatever is encoded

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @classmethod
    def usable(cls, sets: Sequence[Dataset]) -> list[Dataset]:
        """Those of `sets` that can teach it. Raises `DataError` or `TaskError` if none can."""
        return list(sets)

    @abstractmethod
    def loss(
        self, x: Float[Tensor, "n c *s"], y: Tensor, which: int, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """The loss on images in [0, 1] of data set number `which`, all chance from `rng`."""


def objective(name: str) -> Callable[[Class], Class]:
    """Make an objective known by name."""

    def add(cls: Class) -> Class:
        _OBJECTIVES[name] = cls
        return cls

    return add


def objectives() -> MappingProxyType[str, type[Objective]]:
    """Every objective by name."""
    return _OBJECTIVES.all()
