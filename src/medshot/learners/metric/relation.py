"""Relation networks: a learned comparison of a query's feature map with that of a class."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Episode, Predictor, Task, part, unknown
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.heads import Head, class_means, features
from medshot.nn.layers import norm
from medshot.tasks import Classification, one_hot

NORMS = ("batch", "group", "none")

Sides = tuple[int, int]


@part("module", "relation")
class Relation(nn.Module):
    """Relation module: two conv blocks (norm, SiLU, max pooling), then two linear layers.

    Source: Sung et al. 2018, arXiv:1711.06025, the relation module g. The output is the logit of
    the paper's score r, ln(r / (1 - r)). `map_shape` (c, h, w) is the shape to which features are
    unflattened; features without maps are (f, 1, 1) and get one block, whose convolution is linear.

    The paper convolves the concatenation of both maps (2 c channels). That equals the sum of one
    convolution per map, so here each map is convolved once and the results are added in pairs.

    Where we differ: SiLU, a smooth ReLU, allows finite-difference checks of the gradient. With
    `cosine`, the logit also has a learned multiple of (cosine - 0.5), initially `cosine` times.
    """

    def __init__(
        self,
        map_shape: Sequence[int],
        width: int = 64,
        hidden: int = 8,
        norm: str = "group",
        cosine: float = 0.0,
    ) -> None:
        super().__init__()
        if norm not in NORMS:  # "transductive" would make queries depend on each other
            raise unknown(norm, NORMS, kind="normalization policy of a relation")
        self.map_shape = channels, height, breadth = tuple(map_shape)
        whole = (height, breadth)
        half, quarter = _halved(whole), _halved(_halved(whole))
        self.of_image = _convolution(channels, width, whole)
        self.of_class = _convolution(channels, width, whole, bias=False)  # one bias suffices
        self.first = _after(width, whole, norm)
        second = nn.Sequential(_convolution(width, width, half), _after(width, half, norm))
        self.second = nn.Identity() if whole == (1, 1) else second
        inputs, last = width * quarter[0] * quarter[1], nn.Linear(hidden, 1)
        self.score = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.SiLU(), last)
        self.cosine = nn.Parameter(torch.tensor(float(cosine))) if cosine else None
        if cosine:
            nn.init.constant_(last.bias, -cosine / 2)

    def forward(
        self, z: Float[Tensor, "n f"], centres: Float[Tensor, "k f"]
    ) -> Float[Tensor, "n k"]:
        """Logit that image and class match, for every pair."""
        images = self.of_image(z.unflatten(1, self.map_shape))
        classes = self.of_class(centres.unflatten(1, self.map_shape))
        pairs = (images[:, None] + classes).flatten(0, 1)
        odds = self.score(self.second(self.first(pairs))).view(len(z), len(centres)).to(z.dtype)
        return odds if self.cosine is None else odds + self.cosine * _cosines(z, centres)


@part("predictor", "relation")
class Related(Head):
    """Logit that an image belongs to each class, from a learned comparison.

    A softmax over classes normalizes the odds r / (1 - r), so the most probable class is the one
    with the highest score r.
    """

    centres: Tensor

    def __init__(
        self, encoder: nn.Module, centres: Float[Tensor, "k f"], relation: Relation
    ) -> None:
        super().__init__(encoder, centres=centres)
        self.relation = relation

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Logit of each class."""
        return self.relation(z, self.centres)


def _cosines(z: Tensor, centres: Tensor) -> Tensor:
    with torch.autocast(z.device.type, enabled=False):
        return F.normalize(z, dim=1) @ F.normalize(centres, dim=1).T


def _halved(sides: Sides) -> Sides:
    return max(1, sides[0] // 2), max(1, sides[1] // 2)


def _convolution(inputs: int, outputs: int, sides: Sides, bias: bool = True) -> nn.Conv2d:
    padding = min(1, sides[0] - 1), min(1, sides[1] - 1)  # a side of one pixel gets a kernel of 1
    kernel = 1 + 2 * padding[0], 1 + 2 * padding[1]
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias)


def _after(width: int, sides: Sides, policy: str) -> nn.Sequential:
    halve = nn.MaxPool2d((min(2, sides[0]), min(2, sides[1])))
    return nn.Sequential(norm(policy, width), nn.SiLU(), halve)


COMBINATIONS = ("mean", "sum")


@register("relation")
class RelationNetwork(OnFeatures):
    """A learned relation module scores each pair of query and class between 0 and 1.

    Source: Sung et al. 2018, arXiv:1711.06025. The paper's symbols: f is `encoder`, g `relation`,
    r its score; meta-training minimizes the mean of (r - 1[same class])^2. The paper compares
    feature maps: use `conv4` with halvings=2. For an encoder without maps, features are compared.

    Where we differ: the initial score is a function of the cosine similarity, to which `relation`
    learns a correction; `cosine` is the initial factor, and 0 removes it, as in the paper. From
    the paper's initialization the scores carry no signal, and predicting "different" for every
    pair is a long plateau (docs/log.md). The map of a class is the mean over its images, not the
    sum (`combine="sum"`), so that it does not depend on their number. `norm` is group instead of
    batch normalization; `width` and `hidden` are the paper's. The output is the logit of r.
    """

    supports = (Classification,)
    source = "Sung et al. 2018, arXiv:1711.06025"
    vectorizes = True

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
            raise unknown(combine, COMBINATIONS, kind="reduction over the images of a class")
        shape = getattr(encoder, "map_shape", None) or (n_features(encoder), 1, 1)
        self.encoder, self.combine = encoder, combine
        self.relation = Relation(shape, width, hidden, norm, cosine)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Combine the feature maps of each class."""
        labels = one_hot(y, task.n_outputs, like=z)
        return Related(encoder, self._combined(z, labels), self.relation)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Squared error of the scores, with support and query encoded in one pass."""
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
