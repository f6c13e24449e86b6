"""Task augmentation: more tasks out of those that there are.

Each of these is a source of episodes around a source of episodes. What it does to episode i is a
function of (seed, i), so that a run that is resumed sees the same again. For meta-training only:
episodes that judge a learner stay as they are. Rotations as classes, the oldest of the kind, are
an option of the Omniglot source and of `EpisodeSampler`.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError, TaskError
from medshot.data.episodes import EpisodeSource


@dataclass(frozen=True)
class Shifted:
    """Each image moved by up to `pixels` along each axis, its border repeated."""

    source: EpisodeSource
    pixels: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pixels < 1:
            raise ConfigError(f"Images are moved by at least 1 pixel, not {self.pixels}.")

    def episode(self, i: int) -> Episode:
        """Episode `i`, its images moved."""
        found, rng = _labelled(self.source.episode(i)), np.random.default_rng([self.seed, i, 2])
        parts = (found.support, found.query)
        support, query = (replace(e, x=_moved(e.x, self.pixels, rng)) for e in parts)
        return replace(found, support=support, query=query)

    def describe(self) -> dict[str, Any]:
        """What the source says, and the moving."""
        return {**self.source.describe(), "shifted": self.pixels, "shift_seed": self.seed}


@dataclass(frozen=True)
class Mixed:
    """Each class of an episode blended with another of its classes: new classes, new tasks.

    Source: Ni et al. 2021, arXiv:2010.07092 (task augmentation: classes made by mixing).

    All images of class a become w a + (1 - w) b, with b an image of a's partner. Partners are
    drawn anew for each episode, and so is w, from Beta(`alpha`, `alpha`), made at least a half.
    """

    reference: ClassVar[str] = "Ni et al. 2021, arXiv:2010.07092"

    source: EpisodeSource
    alpha: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ConfigError(f"alpha is above 0, not {self.alpha}.")

    def episode(self, i: int) -> Episode:
        """Episode `i`, its classes blended."""
        found, rng = _labelled(self.source.episode(i)), np.random.default_rng([self.seed, i, 3])
        way = found.task.n_outputs
        partner = (torch.arange(way) + int(rng.integers(1, way))) % way
        w = rng.beta(self.alpha, self.alpha)
        parts = (found.support, found.query)
        support, query = (_blended(e, partner, max(w, 1 - w), rng) for e in parts)
        return replace(found, support=support, query=query)

    def describe(self) -> dict[str, Any]:
        """What the source says, and the mixing."""
        return {**self.source.describe(), "mixed": self.alpha, "mix_seed": self.seed}


def _labelled(episode: Episode) -> Episode:
    if episode.task.on_grid:
        raise TaskError("Images are augmented here and masks would stay: give episodes of labels.")
    return episode


def _moved(
    x: Float[Tensor, "n c h w"], pixels: int, rng: np.random.Generator
) -> Float[Tensor, "n c h w"]:
    n, _, h, w = x.shape
    padded = F.pad(x, [pixels] * 4, mode="replicate").permute(0, 2, 3, 1)
    down, right = torch.from_numpy(rng.integers(0, 2 * pixels + 1, (2, n, 1))).to(x.device)
    rows = down + torch.arange(h, device=x.device)
    columns = right + torch.arange(w, device=x.device)
    which = torch.arange(n, device=x.device)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _blended(
    examples: Examples, partner: Tensor, weight: float, rng: np.random.Generator
) -> Examples:
    x, y = examples.x, examples.y.cpu()
    shuffled = torch.from_numpy(rng.permutation(len(y)))
    other = torch.empty_like(y)
    for a, b in enumerate(partner.tolist()):
        mine, theirs = (y == a).nonzero()[:, 0], shuffled[y[shuffled] == b]
        other[mine] = theirs[torch.arange(len(mine)) % len(theirs)]
    return replace(examples, x=weight * x + (1 - weight) * x[other.to(x.device)])
