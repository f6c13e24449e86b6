"""Nearest centroid: the simplest thing to do with features."""

from torch import nn

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.features import features
from medshot.nn.heads import Prototypes, class_means
from medshot.tasks import Classification, one_hot


@register("nearest-centroid")
class NearestCentroid(Learner):
    """Class means of L2-normalised features, squared Euclidean distance.

    Source: Wang et al. 2019, SimpleShot, arXiv:1911.04623 ("L2N"), without the
    centring that needs meta-training data. `scale` sharpens the probabilities and changes no
    decision: squared distances between unit vectors lie in [0, 4].
    """

    supports = (Classification,)
    source = "Wang et al. 2019, arXiv:1911.04623"
    trainable = False

    def __init__(self, encoder: nn.Module, *, scale: float = 10.0) -> None:
        super().__init__()
        self.encoder, self.scale = encoder, scale

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Average each class."""
        z = features(self.encoder, support.x, unit=True)
        centres = class_means(z, one_hot(support.y, task.n_outputs, like=z))
        return Prototypes(self.encoder, centres, z.new_tensor(self.scale), unit=True)
