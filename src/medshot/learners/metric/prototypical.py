"""Prototypical networks: a class is the mean feature of its support."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Task, unknown
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Prototypes, class_means
from medshot.tasks import Classification, Detection, Segmentation, one_hot

DISTANCES = ("squared", "mean-squared", "euclidean")


@register("prototypical")
class Prototypical(OnFeatures):
    """One prototype per class; a query's logits are its negative distances to them.

    Source: Snell, Swersky & Zemel 2017, arXiv:1703.05175, eqs. 1 and 2. The paper's symbols:
    f_phi is `encoder`, c_k a row of the prototypes, d the squared Euclidean distance.

    Where we differ: `distance` may be other than the paper's "squared". "mean-squared" divides it
    by the number of features, which keeps the initial loss small for encoders with thousands of
    features. "euclidean" is its square root, used by some libraries: same decisions for the same
    weights, but faster learning in the first hundred steps (docs/log.md).
    """

    supports = (Classification, Detection, Segmentation)
    source = "Snell et al. 2017, arXiv:1703.05175"
    vectorizes = True

    def __init__(self, encoder: nn.Module, *, distance: str = "squared") -> None:
        super().__init__()
        if distance not in DISTANCES:
            raise unknown(distance, DISTANCES, kind="distance")
        self.encoder, self.distance = encoder, distance

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Prototypes:
        """Average the features of each class (eq. 1)."""
        centres = class_means(z, one_hot(y, task.n_outputs, like=z))
        by = 1 / z.shape[1] if self.distance == "mean-squared" else 1.0
        return Prototypes(encoder, centres, z.new_tensor(by), root=self.distance == "euclidean")
