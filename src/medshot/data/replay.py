"""Continual meta-learning: sequential task distributions, and experience replay.

Each class wraps episode sources. Episode i is a function of the sources and i, so that a resumed
run sees the same episodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from medshot.core import ConfigError, Episode
from medshot.data.episodes import EpisodeSource


@dataclass(frozen=True)
class SequentialTasks:
    """`episodes` episodes of each source, one after the other; the last source has no end.

    It simulates a hospital that changes its scanner: a learner without replay may forget.
    """

    sources: Sequence[EpisodeSource]
    episodes: int

    def __post_init__(self) -> None:
        if not self.sources or self.episodes < 1:
            raise ConfigError("Give at least one source, and at least 1 episode of each.")

    def episode(self, i: int) -> Episode:
        """Episode `i`, from the current source."""
        return self.sources[min(i // self.episodes, len(self.sources) - 1)].episode(i)

    def describe(self) -> dict[str, Any]:
        """Descriptions of all sources, and the number of episodes of each."""
        return {"in_turn": [s.describe() for s in self.sources], "episodes": self.episodes}


@dataclass(frozen=True)
class ReplayBuffer:
    """With probability `part`, replay a past episode in place of the next one.

    Source: Riemer et al. 2019, arXiv:1810.11910 (meta-learning with experience replay).

    Where we differ: theirs keeps a reservoir sample of the past; ours samples from all past
    episodes. An episode is identified by its number and drawn again from the source, so the buffer
    needs no memory, and images that may no longer be stored must be removed from the source.
    """

    reference: ClassVar[str] = "Riemer et al. 2019, arXiv:1810.11910"

    source: EpisodeSource
    part: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.part < 1:
            raise ConfigError(f"part, the replay probability, is in (0, 1), not {self.part}.")

    def episode(self, i: int) -> Episode:
        """Episode `i`, or one from 0 to i - 1."""
        rng = np.random.default_rng([self.seed, i, 4])
        past = i > 0 and rng.random() < self.part
        return self.source.episode(int(rng.integers(i)) if past else i)

    def describe(self) -> dict[str, Any]:
        """Description of the source, and the replay probability."""
        replay = {"replayed": self.part, "replay_seed": self.seed}
        return {**self.source.describe(), **replay}
