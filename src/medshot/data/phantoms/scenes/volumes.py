"""Endless episodes of volumes with masks, as `PhantomMasks` has them for images."""

from dataclasses import dataclass
from typing import Any

from medshot.core.errors import ConfigError
from medshot.data.phantoms.scenes.episodes import PhantomMasks
from medshot.data.phantoms.scenes.task import VolumeTask


@dataclass(frozen=True)
class PhantomVolumes(PhantomMasks):
    """Episode i is a new task on volumes of one channel and `size` voxels a side.

    Raises:
        ConfigError: what cannot be drawn.
    """

    size: int = 48
    channels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels != 1:
            raise ConfigError(f"channels is {self.channels}, but phantom volumes have one.")

    def task(self, i: int) -> VolumeTask:
        """The task of episode `i`."""
        return VolumeTask(self.task_seed(i), self.size, self.classes, self.family)

    def describe(self) -> dict[str, Any]:
        """Everything that determines the episodes."""
        return super().describe() | {"volumes": True}
