"""MAML++: measures that make MAML's training stable."""

from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Episode
from medshot.inner.rules import PerTensorSGD
from medshot.learners.gradient.maml import MAML, output
from medshot.learners.registry import register


@register("maml++")
class MAMLPlusPlus(MAML):
    """MAML with multi-step loss, learned learning rates and derivative-order annealing.

    Source: Antoniou, Edwards & Storkey 2019, arXiv:1810.09502, sec. 4: the multi-step loss, whose
    weights anneal from uniform to the last step alone over the first `multi_step_until` steps of
    meta-training; learned rates per layer and step; derivative-order annealing, with first-order
    gradients for the first `first_order_until` steps.

    Where we differ: as MAML. Normalization is the encoder's: with norm="transductive" each inner
    step uses the statistics of its own batch, like the paper's per-step statistics during
    meta-training; there are no per-step scales and shifts. The cosine annealing of the outer
    learning rate is a setting of the training loop.
    """

    source = "Antoniou et al. 2019, arXiv:1810.09502"
    taken: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 5,
        test_steps: int | None = None,
        multi_step_until: int = 1000,
        first_order_until: int = 0,
        remat: bool = False,
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps, remat=remat)
        self.rule = PerTensorSGD(list(self.template()), lr, steps)
        self.multi_step_until, self.first_order_until = multi_step_until, first_order_until
        self.register_buffer("taken", torch.zeros((), dtype=torch.int64))

    def begin_step(self, step: int) -> None:
        """Store the number of completed meta-training steps."""
        self.taken.fill_(step)

    @property
    def first_order(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether meta-training is in its first `first_order_until` steps."""
        return int(self.taken) < self.first_order_until

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Weighted sum of the query losses after each inner step (the paper's v_i L_i)."""
        query, task = episode.query, episode.task
        path = islice(self.path(episode.support, task), 1, None)
        losses = [task.loss(output(self.encoder, params, query.x), query.y) for params in path]
        return (self.importance(len(losses)).to(losses[0]) * torch.stack(losses)).sum()

    def importance(self, steps: int) -> Float[Tensor, "steps"]:
        """Weights of the losses after 1, 2, ... steps, summing to 1."""
        left = 1 - min(int(self.taken) / self.multi_step_until, 1) if self.multi_step_until else 0
        weights = torch.full((steps,), left / steps)
        weights[-1] += 1 - left
        return weights
