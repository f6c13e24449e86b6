"""One hidden layer with a way past it, as a function of its weights and as a predictor."""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head

WEIGHTS = ("hidden", "hidden_bias", "out", "direct", "bias")


@part("predictor", "perceptron")
class Perceptron(Head):
    """`perceptron` of an encoder's features, its weights adapted."""

    def __init__(
        self,
        encoder: nn.Module,
        hidden: Float[Tensor, "f h"],
        hidden_bias: Float[Tensor, "h"],
        out: Float[Tensor, "h k"],
        direct: Float[Tensor, "f k"],
        bias: Float[Tensor, "k"],
    ) -> None:
        values = hidden, hidden_bias, out, direct, bias
        super().__init__(encoder, **dict(zip(WEIGHTS, values, strict=True)))

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        return perceptron({name: getattr(self, name) for name in WEIGHTS}, z)


def perceptron(weights: Mapping[str, Tensor], z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
    """tanh(z hidden + hidden_bias) out + z direct + bias."""
    with torch.autocast(z.device.type, enabled=False):
        hidden = torch.tanh(z @ weights["hidden"] + weights["hidden_bias"])
        return hidden @ weights["out"] + z @ weights["direct"] + weights["bias"]
