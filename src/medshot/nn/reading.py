"""A predictor that answers from what a network remembers of the examples that it has read."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head


class Reader(nn.Module, ABC):
    """Reads labelled features once, and then answers about any number of others.

    `way` is how many classes its label codes can name.
    """

    @abstractmethod
    def remember(self, z: Float[Tensor, "m f"], labels: Float[Tensor, "m k"]) -> Tensor:
        """All that an answer needs of the support; k is at most `way`."""

    @abstractmethod
    def answer(self, z: Float[Tensor, "n f"], memory: Tensor) -> Float[Tensor, "n way"]:
        """Scores of each of `z`, whatever the others are."""


@part("predictor", "reading")
class Reading(Head):
    """What `reader` answers from `memory`, plus a linear head: `features @ weight + bias`."""

    reader: Reader
    memory: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        reader: Reader,
        memory: Float[Tensor, "..."],
        weight: Float[Tensor, "f k"],
        bias: Float[Tensor, "k"],
    ) -> None:
        super().__init__(encoder, memory=memory, weight=weight, bias=bias)
        self.reader = reader

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        with torch.autocast(z.device.type, enabled=False):
            read = self.reader.answer(z, self.memory)[:, : len(self.bias)]
            return read + z @ self.weight + self.bias


def widened(z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """Features scaled to a mean square of 1, the size at which layers start well."""
    return nn.functional.normalize(z, dim=1) * z.shape[1] ** 0.5
