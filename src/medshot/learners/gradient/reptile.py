"""Reptile: move the initialization toward the weights where ordinary training ends."""

from collections.abc import Sequence
from itertools import cycle

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import ConfigError, Episode, unknown
from medshot.inner.rules import SGD, Adam, Params
from medshot.inner.unroll import Loss, unroll
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register

OPTIMIZERS = {"sgd": SGD, "adam": lambda lr: Adam(lr, beta1=0.0)}


@register("reptile")
class Reptile(MAML):
    """Meta-loss without a query set: squared distance to the adapted weights.

    Source: Nichol, Achiam & Schulman 2018, arXiv:1803.02999, algorithm 1. The paper's symbols:
    phi is `encoder` and the head, W the adapted weights. phi <- phi + epsilon (W - phi) is one
    gradient step on half their squared distance with W held constant; so that is `meta_loss`, and
    the training loop needs no special case. Inner steps by SGD, or by Adam with beta1 = 0.
    Meta-training uses no query set: all images of an episode are split into `batches`, one per
    inner step. Reptile learns from the differences between batches: a step on one should reduce
    the loss on the next (the paper's leading-order analysis). With a single batch it hardly
    learns to generalize.

    Where we differ: the outer optimizer takes the difference as its gradient; the paper applies
    it directly. Batches are taken in turn instead of sampled. Adam's state is reset for each
    task, so that its first step has the same length however small the gradient is; the authors'
    code keeps the second moments across tasks. The meta-loss does not measure the quality of the
    initialization; meta-validation uses the query loss after adapting on the whole support, as
    for every learner.
    """

    source = "Nichol et al. 2018, arXiv:1803.02999"
    exact = False
    first_order = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.03,
        steps: int = 10,
        test_steps: int | None = None,
        batches: int = 5,
        optimizer: str = "sgd",
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps)
        if batches < 1:
            raise ConfigError(f"batches is {batches}, but must be at least 1.")
        if optimizer not in OPTIMIZERS:
            raise unknown(optimizer, OPTIMIZERS, kind="inner optimizer")
        self.rule, self.batches = OPTIMIZERS[optimizer](lr), batches

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Half the squared distance between the initialization and the adapted weights."""
        everything = episode.support + episode.query
        start = self.start(everything.x, episode.task)
        if everything.y.ndim == 1:  # each class is spread over the batches
            everything = everything[everything.y.argsort(stable=True)]
        batches = min(self.batches, len(everything))
        parts = [everything[first::batches] for first in range(batches)]
        with torch.no_grad():
            loss = cycle_losses([self.inner_loss(part, episode.task, start) for part in parts])
            end = unroll(start, loss, self.rule, steps=self.steps)
        pulls = [(p - end[n]).square().sum() / 2 for n, p in self.learned(start).items()]
        return torch.stack(pulls).sum()


def cycle_losses(losses: Sequence[Loss]) -> Loss:
    """Loss function that cycles through `losses`, one per call."""
    turn = cycle(losses)

    def loss(params: Params) -> Tensor:
        return next(turn)(params)

    return loss
