"""Gaussian classes with covariances shrunk toward a meta-learned prior.

Covariance matrices are never materialized.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Task, part
from medshot.inner.closed_form import precision_factors
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head, class_means
from medshot.tasks import Classification, one_hot


@part("predictor", "gaussians")
class Gaussians(Head):
    """Minus half the squared Mahalanobis distance to each class mean.

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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logits."""
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


@register("mahalanobis")
class Mahalanobis(OnFeatures):
    """Minus half the squared Mahalanobis distance to each class mean.

    Source: Bateni, Goyal, Masrani, Wood & Sigal 2020, arXiv:1912.03432 (Simple CNAPS): the
    covariance of a class is shrunk toward that of the task, depending on its number of images.

    Where we differ: the task covariance is in turn shrunk toward a meta-learned prior
    P = diag(exp(`log_prior`)), which starts as the paper's identity; `rank` adds a low-rank term
    of that rank. The shrinkage weights are meta-learned too. With S the scatter about the class
    means, Q = (a P + S) / (a + n - k) for the task and Q_c = (b Q + S_c) / (b + n_c - 1) for a
    class. The paper's lambda = n_c / (n_c + 1) corresponds to b = 1 with n_c instead of n_c - 1;
    but one image carries no information about a covariance, and here leaves Q unchanged. a and b
    start at 100 images: from 1, the noisy scatter of a few images dominates the prior, and
    meta-training starts far behind. The encoder is not adapted to the task. As in the paper, the
    log-determinants are omitted.
    """

    supports = (Classification,)
    source = "Bateni et al. 2020, arXiv:1912.03432"
    vectorizes = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        rank: int = 0,
        task_weight: float = 100.0,
        class_weight: float = 100.0,
    ) -> None:
        super().__init__()
        if task_weight <= 0 or class_weight <= 0:
            raise ConfigError(
                f"task_weight is {task_weight} and class_weight {class_weight}, but both (in "
                "images) must be above 0."
            )
        self.encoder = encoder
        f = n_features(encoder)
        self.log_prior = nn.Parameter(torch.zeros(f))
        self.directions = nn.Parameter(torch.randn(rank, f) / f**0.5) if rank else None
        self.log_task = nn.Parameter(torch.tensor(float(task_weight)).log())  # a
        self.log_class = nn.Parameter(torch.tensor(float(class_weight)).log())  # b

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Gaussians:
        """Estimate means and covariances."""
        labels = one_hot(y, task.n_outputs, like=z)
        means = class_means(z, labels)
        a, b, prior = self.log_task.exp(), self.log_class.exp(), self.log_prior.exp()
        own = 1 / (b + labels.sum(0) - 1)[:, None]  # k 1: weight of the class's own residuals
        pooled = b * own / (a + len(z) - task.n_outputs)  # weight of all residuals
        rows, weights = z - labels @ means, pooled + own * labels.T
        if self.directions is not None:
            rows = torch.cat([rows, self.directions])
            weights = torch.cat([weights, (a * pooled).expand(-1, len(self.directions))], 1)
        diagonals = a * pooled * prior
        return Gaussians(encoder, means, 1 / diagonals, precision_factors(rows, weights, diagonals))
