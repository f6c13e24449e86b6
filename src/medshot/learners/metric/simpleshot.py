"""SimpleShot: the nearest centroid among features that are centred first.

Prototypes among features that are centred and then brought to unit length.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ShapeError
from medshot.core.predictor import Predictor
from medshot.core.registry import part
from medshot.core.task import Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Head, class_means, squared_distances
from medshot.tasks import Classification, one_hot


@part("predictor", "centred-prototypes")
class CenteredPrototypes(Head):
    """Minus the squared distance of the direction from `centre` to one prototype a class."""

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

    def answer(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Minus the scaled squared distance to each class."""
        z = directions(z, self.centre)
        return -self.scale * squared_distances(z, self.prototypes)


def directions(z: Float[Tensor, "n f"], centre: Float[Tensor, "f"]) -> Float[Tensor, "n f"]:
    """The unit vectors from `centre` to each row of `z`."""
    with torch.autocast(z.device.type, enabled=False):
        return F.normalize(z - centre, dim=1)


@register("simpleshot")
class SimpleShot(OnFeatures):
    """Class means of features that are centred and L2-normalised, squared Euclidean distance.

    Source: Wang, Chao, Weinberger & van der Maaten 2019, arXiv:1911.04623 ("CL2N"). The
    paper's centre is the mean feature of the base classes: give it as `centre`.

    Where we differ: without `centre`, the base classes are not known, and the mean of the support's
    own class means takes the place of theirs. It is far less certain, and moves what is known of
    the classes to be told apart from; with two classes the two are then opposite directions.
    `scale` sharpens the probabilities and changes no decision.
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
        """Average the directions of each class."""
        labels = one_hot(y, task.n_outputs, like=z)
        centre = self._centre(z, labels)
        prototypes = class_means(directions(z, centre), labels)
        return CenteredPrototypes(encoder, centre, prototypes, z.new_tensor(self.scale))

    def _centre(self, z: Float[Tensor, "n f"], labels: Float[Tensor, "n k"]) -> Float[Tensor, "f"]:
        if self.centre is None:
            return class_means(z, labels).mean(0)
        if len(self.centre) != z.shape[1]:
            raise ShapeError(
                f"centre has {len(self.centre)} numbers, and the encoder gives {z.shape[1]} "
                "features. Give the mean of its features over the base classes, or None."
            )
        return self.centre.to(z)
