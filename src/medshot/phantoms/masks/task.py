"""Phantom segmentation tasks: images or volumes with exact masks, and endless episodes of them."""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy import ndarray

from medshot.core import ConfigError, Episode, Examples, unknown
from medshot.data.transforms import resized, unit
from medshot.phantoms.labels.task import at_least
from medshot.phantoms.masks.families import FAMILIES
from medshot.phantoms.masks.scene import MOST_CLASSES, Plan, Scenes, draw_plan, draw_scenes
from medshot.tasks import Segmentation

SMALLEST = 32
SMALLEST_VOLUME = 16


class Phantom(ABC):
    """A task fixes what is labeled and its appearance; each image has its own layout.

    Image i is a function of the task, i and its patient. Every class is visible in every image.
    Images of one patient share stain and exposure, not the layout.
    """

    channels: int

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """Properties of the task that the seed determines."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Grid of an image."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class name of each number in a mask, background first."""
        return self.plan.labels

    def scenes(self, count: int, *, first: int = 0, images_per_patient: int = 1) -> Scenes:
        """Images `first` to `first + count - 1` with full ground truth."""
        at_least("count", count, 1)
        at_least("first", first, 0)
        at_least("images_per_patient", images_per_patient, 1)
        numbers = range(first, first + count)
        places = [(i, i // images_per_patient) for i in numbers]
        return draw_scenes(self.plan, places, self.shape, self.channels)

    def images(
        self, count: int, *, first: int = 0, images_per_patient: int = 1
    ) -> tuple[UInt8[ndarray, "n c *s"], UInt8[ndarray, "n *s"], Int64[ndarray, "n"]]:
        """Pixels, masks and patients of these images."""
        found = self.scenes(count, first=first, images_per_patient=images_per_patient)
        return found.pixels, found.masks, found.patients


@dataclass(frozen=True)
class SceneTask(Phantom):
    """Images of `size` pixels per side with three channels, equal in gray modalities.

    `classes` (1 to 3, without background) and `family` are drawn from the seed if None; most tasks
    have one class.

    Raises:
        ConfigError: invalid fields.
    """

    seed: int
    size: int = 128
    classes: int | None = None
    family: str | None = None

    channels = 3

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("size", self.size, SMALLEST)
        check_kind(self.classes, self.family)

    @property
    def plan(self) -> Plan:
        """Properties of the task that the seed determines."""
        return draw_plan(self.seed, self.classes, self.family, grey=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width."""
        return (self.size, self.size)


@dataclass(frozen=True)
class VolumeTask(Phantom):
    """One-channel volumes; `size` is one side in voxels, or (z, h, w). Otherwise as `SceneTask`.

    Raises:
        ConfigError: invalid fields.
    """

    seed: int
    size: int | tuple[int, ...] = 48
    classes: int | None = None
    family: str | None = None

    channels = 1

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        if isinstance(self.size, tuple) and len(self.size) != 3:
            raise ConfigError(f"size is {self.size}, but a volume has three sides: (z, h, w).")
        for side in self.shape:
            at_least("size", side, SMALLEST_VOLUME)
        check_kind(self.classes, self.family)

    @property
    def plan(self) -> Plan:
        """Properties of the task that the seed determines."""
        return draw_plan(self.seed, self.classes, self.family, grey=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """Depth, height and width."""
        return self.size if isinstance(self.size, tuple) else (self.size,) * 3


def check_kind(classes: int | None, family: str | None) -> None:
    """Raise `ConfigError` for an invalid number of classes or an unknown family."""
    if classes is not None and classes not in range(1, MOST_CLASSES + 1):
        raise ConfigError(
            f"classes is {classes!r}, but a phantom has 1 to {MOST_CLASSES} of them and the "
            "background; None draws the number."
        )
    if family is not None and family not in FAMILIES:
        raise unknown(family, FAMILIES, kind="family of phantoms")


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
