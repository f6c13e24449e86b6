"""Attention over known images: an image is of the class that its attention goes to."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.context import QueryContext
from medshot.nn.features import Head


@part("predictor", "matching")
class Matching(Head):
    """The logarithm of the attention that goes to each class: a softmax gives the shares back.

    Attention is the softmax of the cosines with the `known` features, times `scale`. With
    `context`, an image's features are first seen in the light of the known ones.
    """

    known: Tensor
    labels: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        known: Float[Tensor, "m f"],
        labels: Float[Tensor, "m k"],
        scale: Float[Tensor, ""],
        context: QueryContext | None = None,
    ) -> None:
        super().__init__(encoder, known=known, labels=labels, scale=scale)
        self.context = context

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """The log-probability of each class."""
        if self.context is not None:
            z = self.context(z, self.known)
        return log_attention(z, self.known, self.labels, self.scale)


def log_attention(
    z: Float[Tensor, "n f"],
    known: Float[Tensor, "m f"],
    labels: Float[Tensor, "m k"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "n k"]:
    """The logarithm of sum_i a(z, known_i) labels_i, taken without leaving logarithms.

    As a probability, the share of a class that is little like the image could be too small for
    a float, and its logarithm minus infinity.
    """
    with torch.autocast(z.device.type, enabled=False):
        cosines = F.normalize(z, dim=1) @ F.normalize(known, dim=1).T
        shares = (scale * cosines).log_softmax(1)  # n m
        return (shares[:, None] + labels.T.log()).logsumexp(2)  # log 0 leaves out other classes
