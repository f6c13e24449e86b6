"""Detectors that know of a class one pattern and one size: how strongly each site answers to it."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.predictor import Predictor


class Responses(Predictor, ABC):
    """A detector's maps from a response a class: a subclass writes `respond`.

    The logit of a class is its response times `gain` plus its `offset` (and `rare`); the size is
    the mean of the classes that answer there, in logarithms over `typical`.
    """

    gain: Tensor
    offset: Tensor
    sizes: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        gain: Float[Tensor, "k"],
        offset: Float[Tensor, "k"],
        sizes: Float[Tensor, "k 2"],
        rare: float,
        typical: float,
    ) -> None:
        super().__init__()
        self.encoder, self.rare, self.typical = encoder, rare, typical
        self.transductive = bool(getattr(encoder, "transductive", False))
        for name, tensor in (("gain", gain), ("offset", offset), ("sizes", sizes)):
            self.register_buffer(name, tensor)

    @abstractmethod
    def respond(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n k h w"]:
        """How much each site of the features looks like the middle of each class."""

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h w"]:
        """A logit a class and two log sizes, for every site."""
        logits = self.respond(self.encoder(x)) * self.gain[:, None, None]
        logits = logits + self.offset[:, None, None]
        sizes = torch.einsum("nkhw,kd->ndhw", logits.softmax(1), self.sizes)
        return torch.cat([logits + self.rare, sizes - math.log(self.typical)], 1)
