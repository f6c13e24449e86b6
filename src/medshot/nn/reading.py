"""A predictor that answers from what a network remembers of the examples that it has read."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.nn.heads import features


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
class Reading(Predictor):
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
        super().__init__()
        self.encoder, self.reader = encoder, reader
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.register_buffer("memory", memory)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return self.answer(features(self.encoder, x, unit=False))

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """The same from features."""
        with torch.autocast(z.device.type, enabled=False):
            read = self.reader.answer(z, self.memory)[:, : len(self.bias)]
            return read + z @ self.weight + self.bias


def widened(z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """Features scaled to a mean square of 1, the size at which layers start well."""
    return nn.functional.normalize(z, dim=1) * z.shape[1] ** 0.5
