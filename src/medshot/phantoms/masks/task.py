"""One phantom segmentation task: endless images or volumes with exact masks, from a seed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Int64, UInt8
from numpy import ndarray

from medshot.core.errors import ConfigError, unknown
from medshot.phantoms.labels.task import at_least
from medshot.phantoms.masks.families import FAMILIES
from medshot.phantoms.masks.scene import MOST_CLASSES, Plan, Scenes, draw_plan, draw_scenes

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
