"""Task augmentation: more training tasks from a given episode source.

Each class wraps an episode source. Its augmentation of episode i is a function of (seed, i), so
that a resumed run sees the same episodes. For meta-training only, not for evaluation. Rotated
classes, the oldest task augmentation, are an option of the Omniglot source and of
`EpisodeSampler`.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import ConfigError, Episode, Examples, TaskError
from medshot.data.episodes import EpisodeSource


@dataclass(frozen=True)
class Shifted:
    """Random translation of each image by up to `pixels` along each axis, with edge padding."""

    source: EpisodeSource
    pixels: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pixels < 1:
            raise ConfigError(f"pixels must be at least 1, not {self.pixels}.")

    def episode(self, i: int) -> Episode:
        """Episode `i` with translated images."""
        found, rng = _labelled(self.source.episode(i)), np.random.default_rng([self.seed, i, 2])
        parts = (found.support, found.query)
        support, query = (replace(e, x=_moved(e.x, self.pixels, rng)) for e in parts)
        return replace(found, support=support, query=query)

    def describe(self) -> dict[str, Any]:
        """Description of the source, and the translation."""
        return {**self.source.describe(), "shifted": self.pixels, "shift_seed": self.seed}


@dataclass(frozen=True)
class Mixed:
    """Mixup of each class of an episode with another of its classes: new classes, new tasks.

    Source: Ni et al. 2021, arXiv:2010.07092 (task augmentation: classes made by mixing).

    All images of class a become w a + (1 - w) b, where b is an image of a's partner class.
    Partners and w are sampled for each episode, w from Beta(`alpha`, `alpha`) as max(w, 1 - w).
    """

    reference: ClassVar[str] = "Ni et al. 2021, arXiv:2010.07092"

    source: EpisodeSource
    alpha: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.alpha <= 0:
            raise ConfigError(f"alpha must be above 0, not {self.alpha}.")

    def episode(self, i: int) -> Episode:
        """Episode `i` with mixed classes."""
        found, rng = _labelled(self.source.episode(i)), np.random.default_rng([self.seed, i, 3])
        way = found.task.n_outputs
        partner = (torch.arange(way) + int(rng.integers(1, way))) % way
        w = rng.beta(self.alpha, self.alpha)
        parts = (found.support, found.query)
        support, query = (_blended(e, partner, max(w, 1 - w), rng) for e in parts)
        return replace(found, support=support, query=query)

    def describe(self) -> dict[str, Any]:
        """Description of the source, and the mixing."""
        return {**self.source.describe(), "mixed": self.alpha, "mix_seed": self.seed}


def _labelled(episode: Episode) -> Episode:
    if episode.task.on_grid:
        raise TaskError("Only images are augmented, not masks: give episodes with image labels.")
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
