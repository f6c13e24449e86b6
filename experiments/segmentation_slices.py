"""A learner for images on volumes: slice by slice, so that what it learnt from images can serve."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task

SIDE = 64  # pixels: the slices of the hippocampus have about 50
MOST = 48  # slices of a support


def by_slices(learner: Learner) -> Learner:
    """`learner`, for volumes."""
    other: Any = copy.deepcopy(learner)
    for module in other.modules():
        if hasattr(module, "size") and hasattr(module, "channels"):
            module.size = SIDE
    return BySlices(other)


class BySlices(Learner):
    """Learns from at most `MOST` axial slices of the support, evenly; answers each by itself."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner, self.encoder, self.supports = learner, nn.Identity(), learner.supports

    def check(self, task: Task) -> None:
        """Whatever the learner for images can."""

    def learn(self, support: Examples, task: Task) -> Predictor:
        """The predictor of slices, for volumes."""
        x, y = _slices(support.x), support.y.flatten(0, 1)
        known = ((y >= 0).flatten(1).any(1)).nonzero().flatten()
        chosen = known[torch.linspace(0, len(known) - 1, min(MOST, len(known))).round().long()]
        masks = F.interpolate(y[chosen, None].float(), (SIDE, SIDE), mode="nearest-exact")
        return OfSlices(self.learner.learn(Examples(x[chosen], masks[:, 0].long()), task))


class OfSlices(Predictor):
    """Answers each slice, and lays the answers on each other."""

    def __init__(self, flat: Predictor) -> None:
        super().__init__()
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        """Volumes `n 1 z h w` to scores `n k z h w`."""
        answers = torch.cat([self.flat(part) for part in _slices(x).split(16)])
        wide = F.interpolate(answers, x.shape[3:], mode="bilinear")
        return wide.unflatten(0, (len(x), x.shape[2])).transpose(1, 2)


def _slices(x: Tensor) -> Tensor:
    flat = x.transpose(1, 2).flatten(0, 1)
    return F.interpolate(flat, (SIDE, SIDE), mode="bilinear").expand(-1, 3, -1, -1)
