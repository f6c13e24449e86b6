"""Minibatch proximal update: adapt near the initialization, then move it to the result."""

from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Episode, Examples, Task
from medshot.inner.rules import SGD, Params
from medshot.inner.unroll import Loss, pulled
from medshot.learners.gradient.reptile import Reptile
from medshot.learners.registry import register


@register("prox")
class MinibatchProx(Reptile):
    """Adapts on the loss plus `pull` / 2 times the squared distance to the start.

    Source: Zhou et al. 2019, "Efficient meta learning via minibatch proximal update", NeurIPS
    (Meta-MinibatchProx). The paper's symbols: w is `encoder` and the head, lambda is `pull`, w_T
    the adapted weights. The outer update w - eta lambda (w - w_T) is one gradient step on
    lambda / 2 times the squared distance to w_T, which is `meta_loss`; with lambda = 0 in the
    inner loss this is Reptile.

    Where we differ: `steps` of gradient descent approximate the solution of the proximal problem,
    as in the authors' experiments; the outer optimizer and the batches are as in Reptile.
    """

    source = "Zhou et al. 2019, NeurIPS"

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 10,
        test_steps: int | None = None,
        pull: float = 0.5,
        batches: int = 5,
    ) -> None:
        super().__init__(
            encoder, way=way, lr=lr, steps=steps, test_steps=test_steps, batches=batches
        )
        self.rule, self.pull = SGD(lr), pull

    def inner_loss(self, support: Examples, task: Task, start: Params) -> Loss:
        """Loss over the examples plus the proximal term."""
        return pulled(super().inner_loss(support, task, start), start, self.pull)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """`pull` times Reptile's meta-loss."""
        return self.pull * super().meta_loss(episode)
