"""SimpleShot: nearest centroid on centered, L2-normalized features."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Predictor, ShapeError, Task, part
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Head, class_means, squared_distances
from medshot.tasks import Classification, one_hot


@part("predictor", "centred-prototypes")
class CenteredPrototypes(Head):
    """Negative squared distance between prototypes and features centered on `centre`."""

    centre: Tensor
    prototypes: Tensor
    scale: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        centre: Float[Tensor, "f"],
        prototypes: Float[Tensor, "k f"],
        scale: Float[Tensor, ""],
    ) -> None:
        super().__init__(encoder, centre=centre, prototypes=prototypes, scale=scale)

    def on_features(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Negative scaled squared distance to each class."""
        z = directions(z, self.centre)
        return -self.scale * squared_distances(z, self.prototypes)


def directions(z: Float[Tensor, "n f"], centre: Float[Tensor, "f"]) -> Float[Tensor, "n f"]:
    """Center the rows of `z` on `centre` and L2-normalize them."""
    with torch.autocast(z.device.type, enabled=False):
        return F.normalize(z - centre, dim=1)


@register("simpleshot")
class SimpleShot(OnFeatures):
    """Class means of centered, L2-normalized features, squared Euclidean distance.

    Source: Wang, Chao, Weinberger & van der Maaten 2019, arXiv:1911.04623 ("CL2N"). The
    paper's center is the mean feature of the base classes: pass it as `centre`.

    Where we differ: without `centre`, the mean of the support's class means stands in for that of
    the base classes. It is a noisier estimate and depends on the classes to be told apart; with
    two classes, the two means then point in opposite directions. `scale` is an inverse
    temperature and changes no decision.
    """

    supports = (Classification,)
    source = "Wang et al. 2019, arXiv:1911.04623"
    trainable = False

    def __init__(
        self, encoder: nn.Module, *, centre: Sequence[float] | None = None, scale: float = 10.0
    ) -> None:
        super().__init__()
        self.encoder, self.scale = encoder, scale
        self.centre = None if centre is None else torch.tensor(centre, dtype=torch.float64)

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Average the feature directions of each class."""
        labels = one_hot(y, task.n_outputs, like=z)
        centre = self._centre(z, labels)
        prototypes = class_means(directions(z, centre), labels)
        return CenteredPrototypes(encoder, centre, prototypes, z.new_tensor(self.scale))

    def _centre(self, z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> Float[Tensor, "f"]:
        if self.centre is None:
            return class_means(z, labels).mean(0)
        if len(self.centre) != z.shape[1]:
            raise ShapeError(
                f"centre has {len(self.centre)} numbers, but the encoder returns {z.shape[1]} "
                "features. Give the mean of its features over the base classes, or None."
            )
        return self.centre.to(z)
