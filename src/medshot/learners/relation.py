"""Relation networks: how well a query and a class belong together is learnt, not measured."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.errors import unknown
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.on_features import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.features import features
from medshot.nn.heads import class_means
from medshot.nn.relation import Related, Relation
from medshot.tasks import Classification, one_hot

COMBINATIONS = ("mean", "sum")


@register("relation")
class RelationNetwork(OnFeatures):
    """A small network scores each pair of a query and a class, between 0 and 1.

    Source: Sung et al. 2018, arXiv:1711.06025. The paper's symbols: f is `encoder`, g `relation`,
    r its score; meta-training minimises the mean of (r - 1[same class])^2. The paper compares
    maps: take `conv4` with halvings=2. An encoder without maps has its features compared.

    Where we differ: at first the score is that of the cosine between the two, and what `relation`
    adds to it is learnt; `cosine` is its factor at the start, 0 leaves it out as in the paper.
    From the paper's start no score says anything, and for long the best is to call no pair the
    same (docs/log.md).
    Of several images a class the mean map is taken, not the sum (`combine="sum"`), so that a
    class of many images looks like one of few. `norm` is by group, not by batch, `width` and
    `hidden` are the paper's. The output is the log-odds of r, whose softmax is a probability.
    """

    supports = (Classification,)
    source = "Sung et al. 2018, arXiv:1711.06025"
    vectorises = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        cosine: float = 10.0,
        combine: str = "mean",
        width: int = 64,
        hidden: int = 8,
        norm: str = "group",
    ) -> None:
        super().__init__()
        if combine not in COMBINATIONS:
            raise unknown(combine, COMBINATIONS, kind="way to combine images of a class")
        shape = getattr(encoder, "map_shape", None) or (n_features(encoder), 1, 1)
        self.encoder, self.combine = encoder, combine
        self.relation = Relation(shape, width, hidden, norm, cosine)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Combine the images of each class."""
        labels = one_hot(y, task.n_outputs, like=z)
        return Related(encoder, self._combined(z, labels), self.relation)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The squared error of the scores; support and query are encoded in one pass."""
        support, query, k = episode.support, episode.query, episode.task.n_outputs
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        centres = self._combined(z[: len(support)], one_hot(support.y, k, like=z))
        scores = self.relation(z[len(support) :], centres).sigmoid()
        return F.mse_loss(scores, one_hot(query.y, k, like=z))

    def _combined(
        self, z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]
    ) -> Float[Tensor, "k f"]:
        means = class_means(z, labels)
        return means * labels.sum(0)[:, None] if self.combine == "sum" else means
