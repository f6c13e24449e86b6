"""Classes as Gaussians, each with a covariance of its own that is never written out."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.parts import part
from medshot.core.predictor import Predictor
from medshot.nn.heads import features


@part("predictor", "gaussians")
class Gaussians(Predictor):
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
        super().__init__()
        self.encoder = encoder
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.register_buffer("means", means)
        self.register_buffer("precisions", precisions)
        self.register_buffer("factors", factors)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k"]:
        """A logit a class."""
        z = features(self.encoder, x, unit=False)
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
