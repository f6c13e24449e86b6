"""Reptile: move the start towards where ordinary training ends."""

from collections.abc import Sequence
from itertools import cycle

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, unknown
from medshot.inner.rules import SGD, Adam, Params
from medshot.inner.unroll import Loss, unroll
from medshot.learners.gradient.maml import MAML
from medshot.learners.registry import register

OPTIMIZERS = {"sgd": SGD, "adam": lambda lr: Adam(lr, beta1=0.0)}


@register("reptile")
class Reptile(MAML):
    """No query loss: what meta-training descends on is the distance to the adapted weights.

    Source: Nichol, Achiam & Schulman 2018, arXiv:1803.02999, algorithm 1. The paper's symbols:
    phi is `encoder` and the head, W the adapted weights. phi <- phi + epsilon (W - phi) is one
    step of descent on half their squared distance, W held still; so that is `meta_loss`, and the
    training loop needs no special case. Inner steps by SGD, or by Adam with beta1 = 0.
    Meta-training knows no query: the images of an episode, all together, are cut into `batches`,
    and each inner step takes the next. That they differ is what Reptile learns from: what helps on
    one batch shall help on the next (the paper's section on its leading terms). With one batch for
    all steps it hardly learns to generalise.

    Where we differ: the loop's outer optimizer takes the difference as its gradient, where the
    paper takes it as it is. Batches are taken in turn, not drawn. Adam begins anew with each task,
    so that its first step is as long where the gradient is nothing as where it is large; the
    authors' code keeps its second moments from task to task. The meta-loss is no measure of
    how good the start is; meta-validation takes the query loss after adapting on the whole
    support, as for every learner.
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
            raise ConfigError(f"batches={batches}: at least one, please.")
        if optimizer not in OPTIMIZERS:
            raise unknown(optimizer, OPTIMIZERS, kind="inner optimizer")
        self.rule, self.batches = OPTIMIZERS[optimizer](lr), batches

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Half the squared distance between the start and where training from it ends."""
        everything = episode.support + episode.query
        start = self.start(everything.x, episode.task)
        if everything.y.ndim == 1:  # each class is spread over the batches
            everything = everything[everything.y.argsort(stable=True)]
        batches = min(self.batches, len(everything))
        parts = [everything[first::batches] for first in range(batches)]
        with torch.no_grad():
            loss = in_turn([self.inner_loss(part, episode.task, start) for part in parts])
            end = unroll(start, loss, self.rule, steps=self.steps)
        pulls = [(p - end[n]).square().sum() / 2 for n, p in self.learned(start).items()]
        return torch.stack(pulls).sum()


def in_turn(losses: Sequence[Loss]) -> Loss:
    """Each time it is asked, the next of `losses`, over and over."""
    turn = cycle(losses)

    def loss(params: Params) -> Tensor:
        return next(turn)(params)

    return loss
