"""MAML++: how to train MAML so that it trains."""

from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.inner.learned_rules import PerTensorSGD
from medshot.learners.gradient.maml import MAML, output
from medshot.learners.registry import register


@register("maml++")
class MAMLPlusPlus(MAML):
    """MAML with a loss after every step, learned rates, and first order in the beginning.

    Source: Antoniou, Edwards & Storkey 2019, arXiv:1810.09502, sec. 4: the multi-step loss, whose
    weights go from equal to the last step's alone while meta-training takes its first
    `multi_step_until` steps; learned rates for each layer and step; derivative order annealing,
    first order for the first `first_order_until` steps of meta-training.

    Where we differ: as MAML. Normalisation is the encoder's: with norm="transductive" each step
    has the statistics of its own batch, as the paper's per-step statistics have in
    meta-training; there are no scales and shifts for each step. The annealing of the outer rate
    belongs to the training loop.
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
        """Note where meta-training stands."""
        self.taken.fill_(step)

    @property
    def first_order(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether meta-training is still in its first `first_order_until` steps."""
        return int(self.taken) < self.first_order_until

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss after each step, weighed (the paper's v_i L_i)."""
        query, task = episode.query, episode.task
        ways = islice(self.path(episode.support, task), 1, None)
        after = [task.loss(output(self.encoder, params, query.x), query.y) for params in ways]
        return (self.importance(len(after)).to(after[0]) * torch.stack(after)).sum()

    def importance(self, steps: int) -> Float[Tensor, "steps"]:
        """The weights of the losses after 1, 2, ... steps; they sum to 1."""
        left = 1 - min(int(self.taken) / self.multi_step_until, 1) if self.multi_step_until else 0
        weights = torch.full((steps,), left / steps)
        weights[-1] += 1 - left
        return weights
