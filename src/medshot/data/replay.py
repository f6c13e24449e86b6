"""Tasks that come one kind after the other, and experience replay of those that have passed.

Sources of episodes around sources of episodes, for meta-training: episode i is a function of the
source and i, so that a run that is resumed sees the same again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.data.episodes import EpisodeSource


@dataclass(frozen=True)
class SequentialTasks:
    """`episodes` episodes of each source, one source after the other; the last one goes on.

    As data come in a hospital: a scanner, then another. A learner that only follows forgets.
    """

    sources: Sequence[EpisodeSource]
    episodes: int

    def __post_init__(self) -> None:
        if not self.sources or self.episodes < 1:
            raise ConfigError("Give at least one source, and at least 1 episode of each.")

    def episode(self, i: int) -> Episode:
        """Episode `i`, of the source whose turn it is."""
        return self.sources[min(i // self.episodes, len(self.sources) - 1)].episode(i)

    def describe(self) -> dict[str, Any]:
        """All sources, and how long each has its turn."""
        return {"in_turn": [s.describe() for s in self.sources], "episodes": self.episodes}


@dataclass(frozen=True)
class ReplayBuffer:
    """With probability `part`, an episode of the past in place of the next one.

    Source: Riemer et al. 2019, arXiv:1810.11910 (meta-learning with experience replay).

    Where we differ: theirs keeps a reservoir of the past, of which each element is equally likely
    to be any past one; ours draws from all of the past. An episode is remembered by its number
    alone and drawn again from the source, so this memory takes no room, and images that may no
    longer be kept must not be in the source any more.
    """

    reference: ClassVar[str] = "Riemer et al. 2019, arXiv:1810.11910"

    source: EpisodeSource
    part: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.part < 1:
            raise ConfigError(f"The part that is replayed is between 0 and 1, not {self.part}.")

    def episode(self, i: int) -> Episode:
        """Episode `i`, or one from 0 to i - 1."""
        rng = np.random.default_rng([self.seed, i, 4])
        past = i > 0 and rng.random() < self.part
        return self.source.episode(int(rng.integers(i)) if past else i)

    def describe(self) -> dict[str, Any]:
        """What the source says, and the replay."""
        replay = {"replayed": self.part, "replay_seed": self.seed}
        return {**self.source.describe(), **replay}
