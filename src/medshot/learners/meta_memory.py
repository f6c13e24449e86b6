"""A memory of fast weights, made of loss gradients, and a controller that writes and forgets."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, TaskError
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.on_features import OnFeatures
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.memory_fast import FastMemory
from medshot.nn.memory_recall import FastRecall
from medshot.tasks import Classification, one_hot


@register("meta-memory")
class MetaMemory(OnFeatures):
    """Slow weights plus fast ones: those of the support images that a query resembles.

    Source: Munkhdalai & Yu 2017, arXiv:1703.00837. From it: a representation u with slow weights
    Q and fast ones Q*; a base network b with slow weights W and fast ones W*_i, made of the
    gradient of the loss of each support image by a small network that is the same for every
    number (m); a memory of the W*_i, with the representations r_i as its index; attention by
    cosine, by which a query reads its own W*; and layers that add what slow and fast weights
    give. A memory of things made of loss gradients is also in Munkhdalai et al. 2018,
    arXiv:1712.09926.

    Ours: the meta-controller. In the paper all that is seen is kept, with equal weight. Here the
    support is read image by image, and for each a small network decides how strongly it is
    written, and how much of every slot is forgotten. It is told the loss and the size of the
    gradient, and, of every slot, how alike the keys are, whether the label codes agree and how
    strong the slot still is. Strengths weigh the attention; when all `slots` are taken, the
    weakest gives way (a choice, which has no slope).

    Where we differ:
    - u and b read the encoder's features, narrowed to `width` by one slow map, instead of pixels;
      b is two layers, u one, and tanh stands where the paper has ReLU, so that gradients have no
      jumps.
    - Q* is made of the mean gradient over the support by a second such rule, not by an LSTM over
      a sample of it. Its loss asks each image to resemble its own class more than others.
    - A rule begins as one step of gradient descent. The last layer's gradient for an image is
      (p - y) h^T, so its fast weights hold its label code in the place of its features: a query
      reads the labels of what it resembles before anything is learnt. The attention has a learnt
      sharpness for the same reason; a plain cosine is nearly flat.
    """

    supports = (Classification,)
    source = "Munkhdalai & Yu 2017, arXiv:1703.00837"
    unit = True
    order_matters = True

    def __init__(
        self, encoder: nn.Module, *, way: int = 20, slots: int = 128, width: int = 32
    ) -> None:
        super().__init__()
        if slots < 1:
            raise ConfigError(f"slots is {slots}, but a memory has one or more.")
        self.encoder, self.way = encoder, way
        self.memory = FastMemory(n_features(encoder), way, slots, width)

    def check(self, task: Task) -> None:
        """Also refuses more classes than the slow weights have outputs."""
        super().check(task)
        if task.n_outputs > self.way:
            raise TaskError(
                f"This meta-memory has slow weights for {self.way} classes, and the task has "
                f"{task.n_outputs}. Train one with way={task.n_outputs} or more."
            )

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Predictor:
        """Make fast weights of each image's gradients; the controller says what is kept."""
        kept = self.memory.write(z, one_hot(y, task.n_outputs, like=z))
        return FastRecall(encoder, self.memory, *kept)
