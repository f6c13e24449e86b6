"""From a volume's file to the tensor that an encoder takes, the same at training and at use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import ConfigError
from medshot.core.parts import part
from medshot.data.formats.door import read_volume
from medshot.data.formats.volume import Volume
from medshot.data.preprocess import unit
from medshot.data.read import WINDOW


@part("preprocessing", "volume")
@dataclass(frozen=True)
class VolumePreprocessing:
    """Windows the values to 0 ... 255 and resamples to `spacing` mm (z, y, x); its shape is kept.

    The window is the file's own, or else the 0.5th and 99.5th percentile of its values. Without a
    `spacing` the voxels are as in the file.
    """

    spacing: Sequence[float] | None = None
    channels: ClassVar[int] = 1
    size: ClassVar[None] = None
    dims: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.spacing is not None and (len(self.spacing) != 3 or min(self.spacing) <= 0):
            raise ConfigError(
                f"spacing={list(self.spacing)}: three numbers of mm above 0, along z, y and x."
            )

    def read(self, path: Path) -> Float[Tensor, "1 z h w"]:
        """One volume in [0, 1]."""
        return unit(torch.from_numpy(self.fit(read_volume(path)))[None])

    def grid(self, path: Path) -> tuple[int, ...]:
        """The depth, height and width of the volume in the file, turned as in memory."""
        return read_volume(path).values.shape

    def fit(self, volume: Volume) -> UInt8[ndarray, "d r c"]:
        """A volume in this form."""
        values = volume.values.astype(np.float32)
        low, high = volume.window or np.percentile(values, WINDOW)
        if low >= high:
            low, high = values.min(), values.max()
        seen = torch.from_numpy(((values - low) / (high - low)).clip(0, 1))
        new = self._shape(volume)
        if new != values.shape:
            seen = F.interpolate(seen[None, None], new, mode="trilinear")[0, 0]
        return (255 * seen).round().byte().numpy()

    def fit_mask(self, mask: Integer[ndarray, "z h w"], volume: Volume) -> UInt8[ndarray, "d r c"]:
        """The mask of a volume in this form: each voxel takes the nearest number."""
        numbers = torch.from_numpy(mask.astype(np.float32))[None, None]
        new = self._shape(volume)
        if new != mask.shape:
            numbers = F.interpolate(numbers, new, mode="nearest-exact")
        return numbers[0, 0].byte().numpy()

    def _shape(self, volume: Volume) -> tuple[int, ...]:
        if self.spacing is None:
            return volume.values.shape
        pairs = zip(volume.values.shape, volume.spacing, self.spacing, strict=True)
        return tuple(max(1, round(n * mm / wanted)) for n, mm, wanted in pairs)
