"""Reptile: move the start towards where ordinary training ends."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.episode import Episode
from medshot.inner.rule import Adam
from medshot.inner.unroll import unroll
from medshot.learners.maml import MAML
from medshot.learners.registry import register


@register("reptile")
class Reptile(MAML):
    """No query loss: what meta-training descends on is the distance to the adapted weights.

    Source: Nichol, Achiam & Schulman 2018, arXiv:1803.02999, algorithm 1. The paper's symbols:
    phi is `encoder` and the head, W the adapted weights. phi <- phi + epsilon (W - phi) is one
    step of descent on half their squared distance, W held still; so that is `meta_loss`, and the
    training loop needs no special case. Inner steps by Adam with beta1 = 0, as in the paper.

    Where we differ: the loop's outer optimizer takes the difference as its gradient, where the
    paper takes it as it is. Inner steps see the whole of an episode, support and query together,
    where the paper draws batches from it. The meta-loss is no measure of how good the start is;
    meta-validation takes the query loss after adapting, as for every learner.
    """

    source = "Nichol et al. 2018, arXiv:1803.02999"
    exact = False
    first_order = True

    def __init__(
        self,
        encoder: nn.Module,
        *,
        way: int | None = None,
        lr: float = 0.001,
        steps: int = 10,
        test_steps: int | None = None,
    ) -> None:
        super().__init__(encoder, way=way, lr=lr, steps=steps, test_steps=test_steps)
        self.rule = Adam(lr, beta1=0.0)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Half the squared distance between the start and where training from it ends."""
        everything = episode.support + episode.query
        start = self.start(everything.x, episode.task)
        with torch.no_grad():
            loss = self.inner_loss(everything, episode.task, start)
            end = unroll(start, loss, self.rule, steps=self.steps)
        pulls = [(p - end[n]).square().sum() / 2 for n, p in self.learnt(start).items()]
        return torch.stack(pulls).sum()
