"""Ensembles: weighted mean of several predictors, or a linear map of their outputs (stacking).

`link` is that of `Task.link`: `softmax` (logits of k classes), `sigmoid` (k logits) or
`identity` (numbers). The first two are averaged as probabilities.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Predictor, part, unknown

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601
Form = Sequence[int]  # channels and size; empty: images are passed unchanged


class EnsembleMembers(Predictor):
    """Base class of ensembles: a subclass combines the members' outputs."""

    def __init__(self, members: Sequence[Predictor], forms: Sequence[Form]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.forms = [tuple(form) for form in forms]
        self.transductive = any(member.transductive for member in members)
        self.exportable = all(member.exportable for member in members)

    def each(self) -> list[Predictor]:
        """The members."""
        return [member for member in self.members if isinstance(member, Predictor)]

    def said(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "m n k *t"]:
        """Outputs of all members; dense ones on the grid of `x`."""
        pairs = zip(self.members, self.forms, strict=True)
        return torch.stack(
            [_on_grid(member(convert_images(x, form)), x, form) for member, form in pairs]
        )


def convert_images(x: Float[Tensor, "n ..."], form: Form) -> Float[Tensor, "n ..."]:
    """Convert images to other channels and another size, as the readers do for files."""
    if not form:
        return x
    channels, size = form
    if x.shape[1] == 3 and channels == 1:
        x = (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
    elif x.shape[1] == 1 and channels == 3:
        x = x.expand(-1, 3, -1, -1)
    if x.shape[2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True)


def _on_grid(output: Tensor, x: Tensor, form: Form) -> Tensor:
    if not form or output.ndim == 2 or output.shape[2:] == x.shape[2:]:
        return output
    return F.interpolate(output, x.shape[2:], mode="bilinear")


LINKS = ("identity", "sigmoid", "softmax")


def refuse_unknown_link(link: str) -> None:
    """Raise `ConfigError` unless `link` is one of `LINKS`."""
    if link not in LINKS:
        raise unknown(link, LINKS, kind="link")


def mixed(
    outputs: Float[Tensor, "m n k *s"], scores: Float[Tensor, "m"], link: str
) -> Float[Tensor, "n k *s"]:
    """Output whose probabilities are the members' weighted mean; for `identity`, the mean.

    Weights are the softmax of `scores`. Computed in log space for numerical stability.
    """
    shape = (-1, *[1] * (outputs.ndim - 1))
    if link == "identity":
        return (scores.softmax(0).view(shape) * outputs).sum(0)
    weights = scores.log_softmax(0).view(shape)
    if link == "softmax":
        return (weights + outputs.log_softmax(2)).logsumexp(0)
    there = (weights + F.logsigmoid(outputs)).logsumexp(0)
    return there - (weights + F.logsigmoid(-outputs)).logsumexp(0)


def comparable(outputs: Float[Tensor, "m n k *s"], link: str) -> Float[Tensor, "m n k *s"]:
    """Outputs on a common scale: logits over classes become log probabilities."""
    return outputs.log_softmax(2) if link == "softmax" else outputs


@part("predictor", "ensemble")
class Ensemble(EnsembleMembers):
    """Weighted mean of the members' probabilities, or of numbers.

    The weights are the softmax of `scores`: equal scores give equal weights.
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
class Stacked(EnsembleMembers):
    """Linear map of all members' outputs: log probabilities, logits or numbers."""

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
        """The combined output, as an output of the task."""
        return stacked_outputs(self.said(x), self.weight, self.bias, self.link)


def stacked_outputs(
    outputs: Float[Tensor, "m n k *s"],
    weight: Float[Tensor, "m k k"],
    bias: Float[Tensor, "k"],
    link: str,
) -> Float[Tensor, "n k *s"]:
    """Sum over members of their comparable outputs times a matrix each, plus a bias."""
    found = torch.einsum("mnj...,mjk->nk...", comparable(outputs, link), weight)
    return found + bias.view(-1, *[1] * (found.ndim - 2))
