"""One segmentation task of phantoms: endless images with exact masks, drawn from a seed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray

from medshot.core.errors import ConfigError, unknown
from medshot.data.phantoms.scenes.plan import (
    FAMILIES,
    MOST_CLASSES,
    Plan,
    Scene,
    draw_plan,
    draw_scene,
)
from medshot.data.phantoms.task import at_least

SMALLEST = 32


@dataclass(frozen=True)
class SceneTask:
    """What is marked, and how it looks, are the task's; where it lies is each image's own.

    `size` is in pixels a side. `classes` (1 to 3, background not counted) and `family` are drawn
    from the seed when None; most tasks have one class. Image i is a function of these fields, of
    i and of its patient, and of no more.

    Raises:
        ConfigError: what cannot be drawn.
    """

    seed: int
    size: int = 128
    classes: int | None = None
    family: str | None = None

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("size", self.size, SMALLEST)
        check_kind(self.classes, self.family)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each number in a mask stands for, background first."""
        return self.plan.labels

    @property
    def plan(self) -> Plan:
        """What the seed has decided about the task."""
        return draw_plan(self.seed, self.classes, self.family)

    def images(
        self, count: int, *, first: int = 0, images_per_patient: int = 1
    ) -> tuple[UInt8[ndarray, "n 3 s s"], UInt8[ndarray, "n s s"], Int64[ndarray, "n"]]:
        """Images `first` to `first + count - 1`: their pixels, masks and patients.

        Every class is seen on every image. Grey is three equal channels. Images of one patient
        share the stain and the exposure, not what lies where.
        """
        at_least("count", count, 1)
        at_least("first", first, 0)
        at_least("images_per_patient", images_per_patient, 1)
        numbers = np.arange(first, first + count)
        patients = numbers // images_per_patient
        pixels = np.empty((count, 3, self.size, self.size), np.uint8)
        masks = np.empty((count, self.size, self.size), np.uint8)
        for row, (i, patient) in enumerate(zip(numbers, patients, strict=True)):
            scene = self._scene(int(i), int(patient))
            pixels[row], masks[row] = scene.pixels, scene.mask
        return pixels, masks, patients

    def _scene(self, i: int, patient: int) -> Scene:
        return draw_scene(self.plan, i, patient, (self.size, self.size))


def check_kind(classes: int | None, family: str | None) -> None:
    """Refuse a number of classes or a family that there is not."""
    if classes is not None and classes not in range(1, MOST_CLASSES + 1):
        raise ConfigError(
            f"classes is {classes!r}, but a phantom has 1 to {MOST_CLASSES} of them and the "
            "background; None draws the number."
        )
    if family is not None and family not in FAMILIES:
        raise unknown(family, FAMILIES, kind="family of phantoms")
