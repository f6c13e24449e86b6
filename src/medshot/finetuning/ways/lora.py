"""LoRA: to each matrix, one of low rank is added."""

import math
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import ConfigError
from medshot.finetuning.layers import CONVOLUTIONS
from medshot.finetuning.way import Move, Way


class LoRA(Way):
    """To the weight of every linear layer and convolution, `alpha / rank` times B A is added.

    Source: Hu et al. 2022, arXiv:2106.09685: A is random and B zero at first, so that nothing is
    changed. The weight of a convolution is a matrix, a row an output channel: A is then a
    convolution to `rank` channels, and B one of 1 x 1. A layer smaller than `rank` gets less.

    `peft` does the same (a test compares), keeps A and B beside the layer, and brings
    `transformers`; here they are folded into the weight, for which PyTorch is enough.
    """

    name = "lora"
    source = "Hu et al. 2022, arXiv:2106.09685"
    asks = "linear layers or convolutions"

    def __init__(self, *, rank: int = 4, alpha: float = 4.0) -> None:
        if rank < 1 or not 0 < alpha < math.inf:
            raise ConfigError(f"rank={rank} must be at least 1, and alpha={alpha} above 0.")
        self.rank, self.alpha = rank, alpha

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """The weight of each linear layer and convolution."""
        rng = torch.Generator().manual_seed(0)  # the same support gives the same predictor
        for layer in layers:
            if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
                yield Move(layer, "weight", LowRank(layer.weight, self.rank, self.alpha, rng))


class LowRank(nn.Module):
    """A weight plus `alpha / rank` times `b @ a`, in the form of the weight."""

    def __init__(self, weight: Tensor, rank: int, alpha: float, rng: torch.Generator) -> None:
        super().__init__()
        outputs, inputs = weight.flatten(1).shape
        self.factor, least = alpha / rank, min(rank, outputs, inputs)
        drawn = torch.rand(least, inputs, generator=rng).to(weight)
        self.a = nn.Parameter((2 * drawn - 1) / inputs**0.5)
        self.b = nn.Parameter(weight.new_zeros(outputs, least))

    def forward(self, weight: Float[Tensor, "o ..."]) -> Float[Tensor, "o ..."]:
        """The changed weight."""
        return weight + self.factor * (self.b @ self.a).view_as(weight)
