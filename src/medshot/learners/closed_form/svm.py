"""Support vector machine on the support, differentiable through its optimality conditions."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import ConfigError, Task
from medshot.inner.qp import lifted, simplex_qp
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Linear
from medshot.tasks import Classification, one_hot


@register("svm")
class SVM(OnFeatures):
    """Multi-class SVM of Crammer & Singer on the features, with a learned scale.

    Source: Lee, Maji, Ravichandran & Soatto 2019, arXiv:1904.03758 (MetaOptNet-SVM); the SVM is
    Crammer & Singer 2001, J. Mach. Learn. Res. 2, 265-292. The paper's symbols: f_phi is
    `encoder`, C is `c`, alpha the dual variables, gamma `scale`. No intercept, as in the paper:
    the weights are scikit-learn's `LinearSVC(multi_class="crammer_singer", fit_intercept=False)`.

    Where we differ: the dual is solved by our own interior-point method (`medshot.inner.qp`), in
    float64. The scale starts at 10 instead of 1: at an SVM's margins the softmax is otherwise so
    flat that Adam with common learning rates makes almost no progress for hundreds of steps.
    """

    supports = (Classification,)
    source = "Lee et al. 2019, arXiv:1904.03758"

    def __init__(self, encoder: nn.Module, *, c: float = 0.1, scale: float = 10.0) -> None:
        super().__init__()
        if c <= 0:
            raise ConfigError(f"c is {c}, but the cost of a margin violation must be above 0.")
        self.encoder, self.c = encoder, c
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Linear:
        """Solve the dual problem."""
        labels = one_hot(y, task.n_outputs, like=z)
        alpha = dual_of(z.double(), labels.double(), self.c)
        with torch.autocast(z.device.type, enabled=False):
            weight = self.scale * (z.double().T @ alpha).to(z)
        return Linear(encoder, weight, torch.zeros_like(weight[0]))


def dual_of(
    z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"], c: float
) -> Float[Tensor, "n k"]:
    """Dual variables alpha: the weight of class m is the sum of alpha[i, m] z[i].

    They are at most c for an image's own class, at most 0 for others, and sum to 0 per image; so
    x = c * labels - alpha lies on a scaled simplex for each image.
    """
    with torch.autocast(z.device.type, enabled=False):
        gram = lifted(z @ z.T)
        x = simplex_qp(gram, labels.T - c * labels.T @ gram, c)
    return c * labels - x.T
