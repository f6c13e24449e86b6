"""Are two images of one class? A weighted distance between their features, as log-odds."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head


@part("predictor", "siamese")
class Verifier(Head):
    """A class's score is the mean log-odds that the image belongs with one of its `known` ones."""

    known: Tensor
    labels: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        known: Float[Tensor, "m f"],
        labels: Float[Tensor, "m k"],
        weight: Float[Tensor, "f"],
        bias: Float[Tensor, ""],
    ) -> None:
        super().__init__(encoder, known=known, labels=labels, weight=weight, bias=bias)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """The mean log-odds a class."""
        with torch.autocast(z.device.type, enabled=False):
            odds = log_odds(z[:, None] - self.known, self.weight, self.bias)  # n m
            return odds @ self.labels / self.labels.sum(0)


def log_odds(
    difference: Float[Tensor, "*pairs f"], weight: Float[Tensor, "f"], bias: Float[Tensor, ""]
) -> Float[Tensor, "*pairs"]:
    """The log-odds that two images are of one class, from the difference of their features."""
    with torch.autocast(difference.device.type, enabled=False):
        return difference.abs() @ weight + bias
