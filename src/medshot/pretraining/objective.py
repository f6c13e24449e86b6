"""Base class of pretraining objectives: a loss of an encoder on a batch of one data set.

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

from medshot.core import Registry
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder

Class = TypeVar("Class", bound=type["Objective"])

_OBJECTIVES: Registry[type["Objective"]] = Registry("objective", "medshot.pretraining")


class Objective(nn.Module, ABC):
    """An encoder, and the modules that are discarded after pretraining: a decoder, heads.

    A subclass takes the encoder and the data sets, which have its `channels` and the encoder's
    size; its further keyword arguments are its options.
    """

    source: ClassVar[str]  # author, year, identifier
    colour: ClassVar[bool] = False  # True: images have three channels, whatever the encoder takes

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @classmethod
    def usable(cls, sets: Sequence[Dataset]) -> list[Dataset]:
        """The data sets that fit the objective. Raises `DataError` or `TaskError` if none does."""
        return list(sets)

    @abstractmethod
    def loss(
        self, x: Float[Tensor, "n c *s"], y: Tensor, which: int, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """Loss on images in [0, 1] of data set `which`; random numbers are from `rng`."""


def objective(name: str) -> Callable[[Class], Class]:
    """Register an objective by name."""

    def add(cls: Class) -> Class:
        _OBJECTIVES[name] = cls
        return cls

    return add


def objectives() -> MappingProxyType[str, type[Objective]]:
    """Every objective by name."""
    return _OBJECTIVES.all()
