"""A support vector machine on the support, differentiated through its conditions of optimality."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.inner.qp import lifted, simplex_qp
from medshot.learners.registry import register
from medshot.nn.heads import Linear, features
from medshot.tasks import Classification, one_hot


@register("svm")
class SVM(Learner):
    """The multi-class machine of Crammer and Singer on the features; learns a scale.

    Source: Lee, Maji, Ravichandran & Soatto 2019, arXiv:1904.03758 (MetaOptNet-SVM); the machine
    is Crammer & Singer 2001, J. Mach. Learn. Res. 2, 265-292. The paper's symbols: f_phi is
    `encoder`, C is `c`, alpha the dual variables, gamma `scale`. No intercept, as in the paper:
    the weights are scikit-learn's `LinearSVC(multi_class="crammer_singer", fit_intercept=False)`.

    Where we differ: the dual is solved by an interior point of our own (`medshot.inner.qp`), in
    float64. The scale begins at 10, not at 1: at the margins that a machine leaves the softmax is
    otherwise so flat that Adam at the usual rate learns next to nothing for hundreds of steps.
    """

    supports = (Classification,)
    source = "Lee et al. 2019, arXiv:1904.03758"

    def __init__(self, encoder: nn.Module, *, c: float = 0.1, scale: float = 10.0) -> None:
        super().__init__()
        if c <= 0:
            raise ConfigError(f"c is {c}, but the price of a violated margin is above 0.")
        self.encoder, self.c = encoder, c
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Solve the dual."""
        z = features(self.encoder, support.x, unit=False)
        return self._head(self.encoder, z, support.y, task.n_outputs)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss, support and query encoded in one pass."""
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        n = len(support)
        head = self._head(nn.Identity(), z[:n], support.y, episode.task.n_outputs)
        return episode.task.loss(head(z[n:]), query.y)

    def _head(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], k: int
    ) -> Linear:
        alpha = dual_of(z.double(), one_hot(y, k, like=z).double(), self.c)
        with torch.autocast(z.device.type, enabled=False):
            weight = self.scale * (z.double().T @ alpha).to(z)
        return Linear(encoder, weight, torch.zeros_like(weight[0]))


def dual_of(
    z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"], c: float
) -> Float[Tensor, "n k"]:
    """The dual variables alpha: the weight of class m is the sum of alpha[i, m] z[i].

    They are at most c at an image's own class and at most 0 elsewhere, and add up to 0 for each
    image; so x = c * labels - alpha is on a simplex for each.
    """
    with torch.autocast(z.device.type, enabled=False):
        gram = lifted(z @ z.T)
        x = simplex_qp(gram, labels.T - c * labels.T @ gram, c)
    return c * labels - x.T
