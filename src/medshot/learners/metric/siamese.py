"""Siamese networks: learn whether two images share a class, then compare with every class."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Episode, Predictor, Task, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head, features
from medshot.tasks import Classification, one_hot


@part("predictor", "siamese")
class Verifier(Head):
    """Class logit: mean logit that the image matches the class's `known` images."""

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

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Mean logit over the images of each class."""
        with torch.autocast(z.device.type, enabled=False):
            odds = log_odds(z[:, None] - self.known, self.weight, self.bias)  # n m
            return odds @ self.labels / self.labels.sum(0)


def log_odds(
    difference: Float[Tensor, "*pairs f"], weight: Float[Tensor, "f"], bias: Float[Tensor, ""]
) -> Float[Tensor, "*pairs"]:
    """Logit that two images share a class, from the difference of their features."""
    with torch.autocast(difference.device.type, enabled=False):
        return difference.abs() @ weight + bias


@register("siamese")
class Siamese(OnFeatures):
    """Trained to verify pairs; predicts the class whose images match the query best.

    Source: Koch, Zemel & Salakhutdinov 2015, "Siamese neural networks for one-shot image
    recognition", ICML Deep Learning Workshop. Two images are of one class with probability
    p = sigmoid(sum_j a_j |h1_j - h2_j| + b). The paper's symbols: h is `encoder`, a is `weight`;
    the paper omits the bias b (`bias`), without which p <= 0.5 for a_j < 0.

    Meta-training minimizes the cross-entropy of p over all pairs of an episode's images, support
    and query. The paper samples half of its pairs from one class; here all pairs count, and
    same-class pairs together weigh as much as the others, which has the same expectation.

    Where we differ: the paper predicts the class of the most probable image, with one image per
    class; for more we average the logits. The paper's h ends in a sigmoid, ours as the encoder
    does. `weight` and `bias` are initialized such that p is near 0.5 for features of about 1:
    initialized near zero, all pairs look alike and learning is slow (docs/log.md).
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
        """Store the support features; nothing is fitted."""
        labels = one_hot(y, task.n_outputs, like=z)
        return Verifier(encoder, z, labels, self.weight, self.bias)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Cross-entropy over pairs, with half the weight on same-class pairs."""
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        y = torch.cat([support.y, query.y])
        i, j = torch.triu_indices(len(y), len(y), offset=1, device=y.device)
        odds = log_odds(z[i] - z[j], self.weight, self.bias)
        same = (y[i] == y[j]).to(odds)
        alike = (F.softplus(-odds) * same).sum() / same.sum()
        other = (F.softplus(odds) * (1 - same)).sum() / (1 - same).sum()
        return (alike + other) / 2
