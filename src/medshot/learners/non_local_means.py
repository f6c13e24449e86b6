"""Non-local means, as strong as the support asks for: the classical baseline for noise."""

from collections.abc import Sequence

import torch
from torch import nn

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.non_local_means import Smoothing
from medshot.tasks import Enhancement

STRENGTHS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3)


@register("non-local-means")
class NonLocalMeans(Learner):
    """Smooths by the one of `strengths` that comes closest to the targets of the support.

    Source: Buades, Coll & Morel 2005, doi:10.1109/CVPR.2005.38. The paper's h is the strength, in
    units of the range [0, 1] of an image; it sets it from the known deviation of the noise, which
    nobody knows here. Strength 0 is among them, so that it can find that nothing helps.
    """

    supports = (Enhancement,)
    source = "Buades et al. 2005, doi:10.1109/CVPR.2005.38"
    trainable = False
    exact = False

    def __init__(self, encoder: nn.Module, *, strengths: Sequence[float] = STRENGTHS) -> None:
        super().__init__()
        if not strengths or min(strengths) < 0:
            raise ConfigError(f"strengths={list(strengths)}: one or more numbers of 0 or above.")
        self.encoder, self.strengths = encoder, tuple(strengths)

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Smoothing:
        """Try every strength."""
        tried = [
            Smoothing(self.encoder, torch.tensor(s).to(support.x), task.n_outputs)
            for s in self.strengths
        ]
        losses = torch.stack([task.loss(one(support.x), support.y) for one in tried])
        return tried[int(losses.argmin())]
