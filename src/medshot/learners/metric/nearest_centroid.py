"""Nearest centroid on L2-normalized features."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core import Predictor, Task
from medshot.learners.base import OnFeatures
from medshot.learners.registry import register
from medshot.nn.heads import Prototypes, class_means
from medshot.tasks import Classification, Detection, Segmentation, one_hot


@register("nearest-centroid")
class NearestCentroid(OnFeatures):
    """Class means of L2-normalized features, squared Euclidean distance.

    Source: Wang et al. 2019, SimpleShot, arXiv:1911.04623 ("L2N"), without the centering that
    needs meta-training data. `scale` is an inverse temperature and changes no decision: squared
    distances between unit vectors lie in [0, 4].
    """

    supports = (Classification, Detection, Segmentation)
    source = "Wang et al. 2019, arXiv:1911.04623"
    unit = True
    trainable = False

    def __init__(self, encoder: nn.Module, *, scale: float = 10.0) -> None:
        super().__init__()
        self.encoder, self.scale = encoder, scale

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Average the features of each class."""
        centres = class_means(z, one_hot(y, task.n_outputs, like=z))
        return Prototypes(encoder, centres, z.new_tensor(self.scale), unit=True)
