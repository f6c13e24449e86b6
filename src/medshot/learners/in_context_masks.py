"""In-context segmentation: a network reads images with masks and answers, and nothing is fitted."""

from torch import nn

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.dense_context import DenseReader, DenseReading
from medshot.nn.encoder import n_features
from medshot.nn.features import features
from medshot.tasks import Segmentation


@register("in-context-masks")
class InContextMasks(Learner):
    """Support images with their masks in, the query's mask out; new tasks need no training.

    Source: Butoi et al. 2023, UniverSeg, arXiv:2304.06131 (a network, trained on many tasks, that
    takes the support as an input); the maps of single pixels and of `patch` x `patch` pixels are
    in the manner of the prototypes of Ouyang et al. 2020, arXiv:2007.09886.

    Where we differ: UniverSeg lets query and support interact in every layer, so that each query
    is a pass over the whole support again. Here one encoder sees every image by itself. Of the
    support a linear map and one key a patch are kept (see `DenseReader`), and a query costs its
    own pass and one attention. All classes of a task are answered at once, and compete.
    """

    supports = (Segmentation,)
    source = "Butoi et al. 2023, arXiv:2304.06131"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        patch: int = 8,
        width: int = 32,
        heads: int = 4,
        hidden: int = 16,
    ) -> None:
        super().__init__()
        options = {"patch": patch, "width": width, "heads": heads, "hidden": hidden}
        if min(options.values()) < 1:
            said = ", ".join(f"{name}={value}" for name, value in options.items())
            raise ConfigError(f"{said}: each is at least 1.")
        self.encoder = encoder
        self.reader = DenseReader(n_features(encoder), **options)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Read the support once."""
        z = features(self.encoder, support.x, unit=False)
        memory = self.reader.remember(z, support.y, task.n_outputs)
        return DenseReading(self.encoder, self.reader, *memory)
