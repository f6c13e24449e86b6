"""Prototypical networks: a class is the mean feature of its support."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import unknown
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.heads import Prototypes, class_means, distances, features
from medshot.tasks import Classification, one_hot

DISTANCES = ("squared", "mean-squared", "euclidean")


@register("prototypical")
class Prototypical(Learner):
    """One prototype a class; a query's score is minus its distance to each.

    Source: Snell, Swersky & Zemel 2017, arXiv:1703.05175, eqs. 1 and 2. The paper's symbols:
    f_phi is `encoder`, c_k a row of the prototypes, d the squared Euclidean distance.

    Where we differ: `distance` may be other than the paper's "squared". "mean-squared" divides it
    by the number of features, which keeps the first losses small for encoders with thousands of
    them. "euclidean" is its root, which some libraries use: it makes the same decisions from the
    same weights, and learns faster in the first hundred steps (docs/log.md).
    """

    supports = (Classification,)
    source = "Snell et al. 2017, arXiv:1703.05175"
    vectorises = True

    def __init__(self, encoder: nn.Module, *, distance: str = "squared") -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise unknown(distance, DISTANCES, kind="distance")
        self.encoder, self.distance = encoder, distance

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Average each class (eq. 1)."""
        z = features(self.encoder, support.x, unit=False)
        centres = class_means(z, one_hot(support.y, task.n_outputs, like=z))
        return Prototypes(self.encoder, centres, self._scale(z), root=self._root)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss, support and query encoded in one pass.

        It is faster, and with norm="batch" the two share their statistics, as in the authors'
        code; the value is otherwise that of adapting and then predicting.
        """
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        labels = one_hot(support.y, episode.task.n_outputs, like=z)
        centres = class_means(z[: len(support)], labels)
        far = distances(z[len(support) :], centres, root=self._root)
        return episode.task.loss(-self._scale(z) * far, query.y)

    @property
    def _root(self) -> bool:
        return self.distance == "euclidean"

    def _scale(self, z: Float[Tensor, "n f"]) -> Float[Tensor, ""]:
        return z.new_tensor(1 / z.shape[1] if self.distance == "mean-squared" else 1.0)
