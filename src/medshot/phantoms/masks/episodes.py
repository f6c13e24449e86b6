"""Endless episodes of phantom images or volumes with masks, each a new task."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from medshot.core.episode import Episode, Examples
from medshot.core.errors import ConfigError, unknown
from medshot.data.transforms import resized, unit
from medshot.phantoms.labels.task import at_least
from medshot.phantoms.masks.task import Phantom, SceneTask, VolumeTask, check_kind
from medshot.tasks import Segmentation


@dataclass(frozen=True)
class PhantomMasks:
    """Episode i is a new task: `shot` support and `query` query images, one per patient.

    Every class is visible in every image. `classes` (1 to 3, without background) and `family` are
    drawn for each episode if None.

    Raises:
        ConfigError: invalid fields.
    """

    shot: int = 4
    query: int = 4
    size: int = 128
    channels: int = 3
    classes: int | None = None
    family: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        at_least("shot", self.shot, 1)
        at_least("query", self.query, 1)
        if self.channels not in (1, 3):
            raise unknown(str(self.channels), ("1", "3"), kind="number of channels")
        check_kind(self.classes, self.family)
        self.task(0)  # validate before any work

    def task(self, i: int) -> Phantom:
        """Task of episode `i`."""
        return SceneTask(self.task_seed(i), self.size, self.classes, self.family)

    def task_seed(self, i: int) -> int:
        """Seed of the task of episode `i`."""
        return int(np.random.default_rng([self.seed, i]).integers(2**62))

    def episode(self, i: int) -> Episode:
        """Episode `i`: drawn, and split into support and query."""
        task = self.task(i)
        x, y, patients = (torch.from_numpy(p) for p in task.images(self.shot + self.query))
        x = x if x.shape[1] == self.channels else resized(x, self.channels, self.size)
        examples = Examples(unit(x), y.long(), patients)
        kind = Segmentation(len(task.labels))
        return Episode(kind, examples[: self.shot], examples[self.shot :])

    def at(self, channels: int, size: int) -> "PhantomMasks":
        """The same episodes with other channels and size."""
        return replace(self, channels=channels, size=size)

    def describe(self) -> dict[str, Any]:
        """Everything that determines the episodes."""
        return {"data": "phantoms", "masks": True, **vars(self)}

    def fingerprint(self, episodes: int) -> str:
        """Hash of what determines the first `episodes` episodes."""
        text = json.dumps([self.describe(), episodes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PhantomVolumes(PhantomMasks):
    """Episode i is a new task on one-channel volumes of `size` voxels per side.

    Raises:
        ConfigError: invalid fields.
    """

    size: int = 48
    channels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels != 1:
            raise ConfigError(f"channels is {self.channels}, but phantom volumes have one.")

    def task(self, i: int) -> VolumeTask:
        """Task of episode `i`."""
        return VolumeTask(self.task_seed(i), self.size, self.classes, self.family)

    def describe(self) -> dict[str, Any]:
        """Everything that determines the episodes."""
        return super().describe() | {"volumes": True}
