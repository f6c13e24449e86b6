"""ANIL (almost no inner loop): only the head is adapted within an episode."""

from collections.abc import Iterator

from jaxtyping import Float, Shaped
from torch import Tensor, nn

from medshot.core import Examples, Task
from medshot.inner.rules import Params
from medshot.inner.unroll import Loss, path
from medshot.learners.base import OnFeatures
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register
from medshot.nn.heads import Linear


@register("anil")
class ANIL(OnFeatures, MAML):
    """MAML whose inner loop updates only the head, on fixed features.

    Source: Raghu et al. 2020, arXiv:1909.09157, sec. 4: the same outer loop as MAML, the inner
    loop on the last layer only. The paper's symbols are MAML's.

    Where we differ: as MAML (a zero-initialized head for any number of classes, unless `way` is
    given). Features are computed once instead of at every inner step.
    """

    source = "Raghu et al. 2020, arXiv:1909.09157"
    adapts_encoder = False

    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Shaped[Tensor, "n ..."], task: Task
    ) -> Linear:
        """Run the inner loop on the head."""
        *_, end = self.path(Examples(z, y), task)
        return Linear(encoder, end["head.weight"], end["head.bias"])

    def inner_loss(self, support: Examples, task: Task, start: Params) -> Loss:
        """Support loss as a function of the head; `support.x` already holds features."""
        del start
        return lambda p: task.loss(support.x @ p["head.weight"] + p["head.bias"], support.y)

    def path(self, support: Examples, task: Task) -> Iterator[Params]:
        """Head parameters after 0, 1, 2, ... inner steps on features."""
        start = {n: p for n, p in self.start(support.x, task).items() if n.startswith("head.")}
        steps = self.steps if self.training else self.test_steps
        return path(start, self.inner_loss(support, task, start), self.rule, steps=steps)
