"""Siamese networks: learn whether two images are of one class, then ask it of every class.

Are two images of one class? A weighted distance between their features, as log-odds.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head, features
from medshot.tasks import Classification, one_hot


@part("predictor", "siamese")
class Verifier(Head):
    """A class's score is the mean log-odds that the image belongs with one of its `known` ones."""

    known: Tensor
    labels: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        known: Float[Tensor, "m f"],
        labels: Float[Tensor, "m k"],
        weight: Float[Tensor, "f"],
        bias: Float[Tensor, ""],
    ) -> None:
        super().__init__(encoder, known=known, labels=labels, weight=weight, bias=bias)

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """The mean log-odds a class."""
        with torch.autocast(z.device.type, enabled=False):
            odds = log_odds(z[:, None] - self.known, self.weight, self.bias)  # n m
            return odds @ self.labels / self.labels.sum(0)


def log_odds(
    difference: Float[Tensor, "*pairs f"], weight: Float[Tensor, "f"], bias: Float[Tensor, ""]
) -> Float[Tensor, "*pairs"]:
    """The log-odds that two images are of one class, from the difference of their features."""
    with torch.autocast(difference.device.type, enabled=False):
        return difference.abs() @ weight + bias


@register("siamese")
class Siamese(OnFeatures):
    """Trained to verify pairs; a query's class is the one whose images it most likely joins.

    Source: Koch, Zemel & Salakhutdinov 2015, "Siamese neural networks for one-shot image
    recognition", ICML Deep Learning Workshop. Two images are of one class with probability
    p = sigmoid(sum_j a_j |h1_j - h2_j| + b). The paper's symbols: h is `encoder`, a is `weight`;
    b, `bias`, is not written there, and without it no p could be above one half for a_j < 0.

    Meta-training minimises the cross-entropy of p over all pairs of an episode's images, whichever
    side they are on. Half of the paper's pairs are of one class; here all pairs count, and those
    of one class weigh as much together as all the others, which is the same in the mean.

    Where we differ: the paper takes the class of the most probable image, of one a class; with
    more we take the mean of the log-odds. Its h ends in a sigmoid, ours as the encoder does.
    `weight` and `bias` start such that p is near one half for features of about 1: from a start
    near zero all pairs look alike, and learning is slow (docs/log.md).
    """

    supports = (Classification,)
    source = "Koch et al. 2015, ICML Deep Learning Workshop"
    vectorizes = True

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        f = n_features(encoder)
        self.encoder = encoder
        self.weight = nn.Parameter(torch.full((f,), -20.0 / f))
        self.bias = nn.Parameter(torch.tensor(8.0))

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Keep the support's features: there is nothing to fit."""
        labels = one_hot(y, task.n_outputs, like=z)
        return Verifier(encoder, z, labels, self.weight, self.bias)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The cross-entropy over pairs, half of its weight on those of one class."""
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        y = torch.cat([support.y, query.y])
        i, j = torch.triu_indices(len(y), len(y), offset=1, device=y.device)
        odds = log_odds(z[i] - z[j], self.weight, self.bias)
        same = (y[i] == y[j]).to(odds)
        alike = (F.softplus(-odds) * same).sum() / same.sum()
        other = (F.softplus(odds) * (1 - same)).sum() / (1 - same).sum()
        return (alike + other) / 2
