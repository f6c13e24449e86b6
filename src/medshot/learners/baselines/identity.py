"""Identity: the trivial baseline for enhancement."""

from torch import nn

from medshot.core import Examples, Learner, Task
from medshot.learners.registry import register
from medshot.nn.heads import Linear
from medshot.tasks import Enhancement


@register("identity")
class Identity(Learner):
    """Returns the input; if the target is larger, its bicubic interpolation.

    Source: Keys 1981, doi:10.1109/TASSP.1981.1163711, for the interpolation.
    """

    supports = (Enhancement,)
    source = "Keys 1981, doi:10.1109/TASSP.1981.1163711"
    trainable = False
    exact = False

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def learn(self, support: Examples, task: Task) -> Linear:
        """Return a linear head that selects the image's own channels."""
        z = self.encoder(support.x[:1])
        return Linear(self.encoder, *task.first_head(z.shape[1], like=z))
