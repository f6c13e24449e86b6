"""SNAIL: the support is a sequence, and the query comes last in it."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import ConfigError, DataError
from medshot.core.task import Task
from medshot.learners.in_context import Reads
from medshot.learners.registry import register
from medshot.nn.encoder import n_features
from medshot.nn.reading import Reading
from medshot.nn.snail import Snail


@register("snail")
class SNAIL(Reads):
    """Causal convolutions and attention over features with their labels, the query last.

    Source: Mishra et al. 2018, arXiv:1707.03141. The paper's symbols: T is `length`, the longest
    sequence, support and query together; D, the filters of a convolution, is `width`.

    Where we differ: every query is appended alone, so that it never sees another. All blocks
    have one `width`, where the paper widens from block to block. The support is read in the order
    of its classes, as folders hold it and as episodes are drawn, so that meta-training and use
    agree; inside a class its own order stays, and matters. With `residual`, and by default, the
    answers are added to those of prototypes: the paper's learner, which starts from chance, needs
    far more training. `way` is the most classes that there are label codes for, so
    that one learner does tasks of any number up to it; codes that no episode used in
    meta-training have taught nothing.
    """

    source = "Mishra et al. 2018, arXiv:1707.03141"
    vectorises = True
    order_matters = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int = 20,
        length: int = 128,
        width: int = 32,
        residual: bool = True,
    ) -> None:
        super().__init__(encoder, way=way, residual=residual)
        if length < 3 or width < 1:
            raise ConfigError(
                f"length={length} has to be 3 or more, two images and a query, and width={width} "
                "at least 1."
            )
        self.reader, self.length = Snail(n_features(encoder), way, length, width), length

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Int[Tensor, "n"], task: Task
    ) -> Reading:
        """Put the support in order, and read it."""
        if len(y) >= self.length:
            raise DataError(
                f"The support has {len(y)} images, and this SNAIL reads at most {self.length} with "
                f"the query. Train with length={len(y) + 1} or more, or give fewer images."
            )
        order = y.argsort(stable=True)
        return super().fit(encoder, z[order], y[order], task)
