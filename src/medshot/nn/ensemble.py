"""Predictors that answer as several do: by their weighted mean, or by a linear map of them all."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.nn.members import Form, Members
from medshot.nn.mixing import comparable, mixed, refuse_unknown_link


@part("predictor", "ensemble")
class Ensemble(Members):
    """The weighted mean of the members' probabilities; of numbers, their mean.

    The weights are the softmax of `scores`: equal scores are equal weights.
    """

    scores: Tensor

    def __init__(
        self,
        members: Sequence[Predictor],
        forms: Sequence[Form],
        scores: Float[Tensor, "m"],
        link: str,
    ) -> None:
        super().__init__(members, forms)
        refuse_unknown_link(link)
        self.link = link
        self.register_buffer("scores", scores)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """The mean, as an output of the task."""
        return mixed(self.said(x), self.scores, self.link)


@part("predictor", "stacked")
class Stacked(Members):
    """A linear map of what all members say: log probabilities of classes, log odds, or numbers."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        members: Sequence[Predictor],
        forms: Sequence[Form],
        weight: Float[Tensor, "m k k"],
        bias: Float[Tensor, "k"],
        link: str,
    ) -> None:
        super().__init__(members, forms)
        refuse_unknown_link(link)
        self.link = link
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *t"]:
        """The map's answer, as an output of the task."""
        return stacked(self.said(x), self.weight, self.bias, self.link)


def stacked(
    outputs: Float[Tensor, "m n k *s"],
    weight: Float[Tensor, "m k k"],
    bias: Float[Tensor, "k"],
    link: str,
) -> Float[Tensor, "n k *s"]:
    """The sum over members of their comparable outputs times a matrix each, and a bias."""
    found = torch.einsum("mnj...,mjk->nk...", comparable(outputs, link), weight)
    return found + bias.view(-1, *[1] * (found.ndim - 2))
