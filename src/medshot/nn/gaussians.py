"""Classes as Gaussians, each with a covariance of its own that is never written out."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.nn.features import Head


@part("predictor", "gaussians")
class Gaussians(Head):
    """Minus half the squared Mahalanobis distance to the mean of each class.

    The precision of class c is diag(`precisions[c]`) - F'F, F = `factors[c]`.
    """

    means: Tensor
    precisions: Tensor
    factors: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        means: Float[Tensor, "k f"],
        precisions: Float[Tensor, "k f"],
        factors: Float[Tensor, "k r f"],
    ) -> None:
        super().__init__(encoder, means=means, precisions=precisions, factors=factors)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        with torch.autocast(z.device.type, enabled=False):
            return -0.5 * mahalanobis(z, self.means, self.precisions, self.factors)


def mahalanobis(
    z: Float[Tensor, "n f"],
    means: Float[Tensor, "k f"],
    precisions: Float[Tensor, "k f"],
    factors: Float[Tensor, "k r f"],
) -> Float[Tensor, "n k"]:
    """(z - m)' (diag(p) - F'F) (z - m) for each class."""
    apart = z - means[:, None]  # k n f
    along = apart @ factors.mT  # k n r
    return ((apart.square() @ precisions[:, :, None])[..., 0] - along.square().sum(2)).T
