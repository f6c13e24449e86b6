"""FiLM: a scale and a shift a channel."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.finetuning.layers import CONVOLUTIONS
from medshot.finetuning.way import Move, Way
from medshot.nn.layers import NORMS


class FiLM(Way):
    """After each normalisation, channel c becomes (1 + s_c) times itself, plus t_c.

    Source: Perez et al. 2018, arXiv:1709.07871.

    Where we differ: s and t are descended on, where theirs are written by a network (the learner
    `film` has such a one).

    A normalisation with weights g and b ends as g (1 + s) and b (1 + s) + t: the two are folded in.
    Where no layer normalises, the channels of each convolution are scaled and shifted instead.
    """

    name = "film"
    source = "Perez et al. 2018, arXiv:1709.07871"
    asks = "normalisation layers with weights, nor convolutions"

    def moves(self, layers: Sequence[nn.Module]) -> Iterator[Move]:
        """Scale and shift of each normalisation, or of each convolution."""
        norms = [layer for layer in layers if isinstance(layer, NORMS)]
        for layer in norms or [each for each in layers if isinstance(each, CONVOLUTIONS)]:
            scale = nn.Parameter(torch.zeros(len(layer.weight)).to(layer.weight))
            yield Move(layer, "weight", Scaled(scale))
            if isinstance(getattr(layer, "bias", None), Tensor):
                yield Move(layer, "bias", Shifted(scale))


class Scaled(nn.Module):
    """A weight whose rows are 1 + `scale` times what they were."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, weight: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """The scaled weight."""
        return weight * (1 + _rows(self.scale, weight))


class Shifted(nn.Module):
    """A bias that is 1 + `scale` times what it was, plus `shift`."""

    def __init__(self, scale: nn.Parameter) -> None:
        super().__init__()
        self.scale, self.shift = scale, nn.Parameter(torch.zeros_like(scale))

    def forward(self, bias: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """The shifted bias."""
        return bias * (1 + _rows(self.scale, bias)) + _rows(self.shift, bias)


def _rows(values: Float[Tensor, "c"], like: Tensor) -> Float[Tensor, "c ..."]:
    return values.view(-1, *(1,) * (like.ndim - 1))
