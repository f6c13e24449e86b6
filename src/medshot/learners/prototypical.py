"""Prototypical networks: a class is the mean feature of its support."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.heads import Prototypes, class_means, features, squared_distances
from medshot.tasks import Classification, one_hot


@register("prototypical")
class Prototypical(Learner):
    """One prototype a class; a query's score is minus its squared distance to each.

    Source: Snell, Swersky & Zemel 2017, arXiv:1703.05175, eqs. 1 and 2. The paper's symbols:
    f_phi is `encoder`, c_k a row of the prototypes, d the squared Euclidean distance.

    Where we differ: distances are divided by the number of features when `mean_distance` is
    set, which keeps the first losses small for encoders with thousands of features. Off by
    default, as in the paper.
    """

    supports = (Classification,)
    source = "Snell et al. 2017, arXiv:1703.05175"

    def __init__(self, encoder: nn.Module, *, mean_distance: bool = False) -> None:
        super().__init__()
        self.encoder, self.mean_distance = encoder, mean_distance

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Average each class (eq. 1)."""
        z = features(self.encoder, support.x, unit=False)
        centres = class_means(z, one_hot(support.y, task.n_outputs, like=z))
        return Prototypes(self.encoder, centres, self._scale(z))

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss, support and query encoded in one pass.

        It is faster, and with norm="batch" the two share their statistics, as in the authors'
        code; the value is otherwise that of adapting and then predicting.
        """
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        labels = one_hot(support.y, episode.task.n_outputs, like=z)
        centres = class_means(z[: len(support)], labels)
        scores = -self._scale(z) * squared_distances(z[len(support) :], centres)
        return episode.task.loss(scores, query.y)

    def _scale(self, z: Float[Tensor, "n f"]) -> Float[Tensor, ""]:
        return z.new_tensor(1 / z.shape[1] if self.mean_distance else 1.0)
