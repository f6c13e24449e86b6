"""ANIL: almost no inner loop. Only the head moves inside an episode."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Episode, Examples
from medshot.core.task import Task
from medshot.inner.rule import Params
from medshot.inner.step import Loss
from medshot.inner.unroll import path
from medshot.learners.maml import MAML
from medshot.learners.registry import register
from medshot.nn.heads import Linear, features


@register("anil")
class ANIL(MAML):
    """MAML whose inner steps move the head alone, on features that stay.

    Source: Raghu et al. 2020, arXiv:1909.09157, sec. 4: the same outer loop as MAML, the inner
    loop on the last layer only. The paper's symbols are MAML's.

    Where we differ: as MAML (a zero head for any number of classes, unless `way` is given). The
    features are computed once, and not at every inner step.
    """

    source = "Raghu et al. 2020, arXiv:1909.09157"
    adapts_encoder = False

    def learn(self, support: Examples, task: Task) -> Linear:
        """Encode once, then take the inner steps on the head."""
        return self._fit(features(self.encoder, support.x, unit=False), support, task)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss after adapting, support and query encoded in one pass."""
        support, query = episode.support, episode.query
        z = features(self.encoder, torch.cat([support.x, query.x]), unit=False)
        head = self._fit(z[: len(support)], support, episode.task)
        return episode.task.loss(z[len(support) :] @ head.weight + head.bias, query.y)

    def inner_loss(self, support: Examples, task: Task, start: Params) -> Loss:
        """The support's loss; its `x` are features already."""
        del start
        return lambda p: task.loss(support.x @ p["head.weight"] + p["head.bias"], support.y)

    def _fit(self, z: Float[Tensor, "n f"], support: Examples, task: Task) -> Linear:
        *_, end = self.path(replace(support, x=z), task)
        return Linear(self.encoder, end["head.weight"], end["head.bias"])

    def path(self, support: Examples, task: Task) -> Iterator[Params]:
        """The head after 0, 1, 2, ... inner steps on features."""
        start = {n: p for n, p in self.start(support.x, task).items() if n.startswith("head.")}
        steps = self.steps if self.training else self.test_steps
        return path(start, self.inner_loss(support, task, start), self.rule, steps=steps)
