"""Preprocessing: image and volume files to the tensors that encoders take, and back.

It is the same in training and prediction, and is saved with the predictor.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from medshot.core import SIDE, ConfigError, DataError, Examples, ShapeError, part, unknown
from medshot.data.io.image import decode, read_image, stored
from medshot.data.io.pixels import WINDOW, squared, window_of
from medshot.data.io.read_volume import read_volume
from medshot.data.io.volume import Volume

FILTERS = ("bilinear", "nearest")


@part("preprocessing", "image")
@dataclass(frozen=True)
class ImagePreprocessing:
    """Convert to 1 or 3 channels and resize to a square of `size` pixels.

    Gray to RGB repeats the channel; RGB to gray is luminance (ITU-R 601). The aspect ratio is not
    kept.
    """

    channels: int = 3
    size: int = 64
    resize: str = "bilinear"
    dims: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.resize not in FILTERS:
            raise unknown(self.resize, FILTERS, kind="resize filter")
        if self.channels not in (1, 3):
            raise unknown(str(self.channels), ("1", "3"), kind="number of channels")

    def pixels(self, path: Path) -> UInt8[ndarray, "d s s"]:
        """Read one file as 8-bit values, as they are stored in memory."""
        return self.fit(read_image(path))

    def fit(self, pixels: UInt8[ndarray, "h w c"]) -> UInt8[ndarray, "d s s"]:
        """Convert decoded pixels."""
        return squared(pixels, self.channels, self.size, self.resize)

    def read(self, path: Path) -> Float[Tensor, "d s s"]:
        """Read one file, in [0, 1]."""
        return unit(torch.from_numpy(self.pixels(path).copy()))

    def grid(self, path: Path) -> tuple[int, int]:
        """Height and width of the image in the file."""
        height, width = stored(path).shape[:2]
        return height, width

    def at(self, channels: int | None, size: int | None) -> "ImagePreprocessing":
        """The same with other channels and another size, if both are given."""
        return replace(self, channels=channels, size=size) if channels and size else self

    def refit(self, x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n d s s"]:
        """Convert images in memory."""
        return resized(x, self.channels, self.size)

    def support(self, examples: Examples) -> Examples:
        """The same: images are small."""
        return examples


def unit(x: UInt8[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
    """8-bit values as numbers in [0, 1]."""
    return x.float() / 255


def resized(x: UInt8[Tensor, "n c h w"], channels: int, size: int) -> UInt8[Tensor, "n d s s"]:
    """Convert and resize images in memory, where there are no files to read again."""
    if x.shape[1] == 3 and channels == 1:
        weight = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
        x = (x * weight).sum(1, keepdim=True).round().byte()
    elif x.shape[1] == 1 and channels == 3:
        x = x.expand(-1, 3, -1, -1)
    elif x.shape[1] != channels:
        raise ShapeError(f"Images of {x.shape[1]} channels cannot become {channels}: 1 or 3.")
    values = F.interpolate(x.float(), (size, size), mode="bilinear", antialias=True)
    return values.round().clamp(0, 255).byte()


LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601
STEP = 32  # pixels between candidate crops


@part("preprocessing", "native")
@dataclass(frozen=True)
class NativePreprocessing:
    """Convert to 1 or 3 channels and keep the resolution, for pixel-level enhancement.

    Training takes the crop of `size` pixels with the highest variance of each image; prediction
    takes the whole image. With a `factor`, the image is first upsampled by it (bicubic).
    """

    channels: int = 3
    size: int = 128
    factor: int = 1
    dims: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise unknown(str(self.channels), ("1", "3"), kind="number of channels")

    def read(self, path: Path) -> Float[Tensor, "d h w"]:
        """Read one file, the whole image, in [0, 1]."""
        pixels = decode(path)
        low, high = window_of(pixels)
        return torch.from_numpy(self.fit(scaled(pixels, low, high))).float()

    def fit(self, values: Float[ndarray, "h w c"]) -> Float[ndarray, "d H W"]:
        """Convert values in [0, 1] to the channels and the resolution."""
        if self.factor != 1:
            values = enlarged(values, self.factor)
        if values.shape[2] == 3 and self.channels == 1:
            values = values @ LUMINANCE[:, None]
        planes = values.transpose(2, 0, 1)
        return np.broadcast_to(planes, (self.channels, *planes.shape[1:])).copy("C")

    def restore(self, values: Float[Tensor, "c h w"], path: Path) -> Shaped[ndarray, "h w d"]:
        """`values` with the channels, dtype and range of the image in `path`.

        What its window clipped, above and below, is added again.
        """
        pixels = decode(path)
        low, high = window_of(pixels)
        found = values.double().cpu().numpy()
        if pixels.shape[2] == 1:
            found = found.mean(0, keepdims=True)
        found = np.broadcast_to(found, (pixels.shape[2], *found.shape[1:])).transpose(1, 2, 0)
        beyond = pixels - np.clip(pixels, low, high).astype(np.float64)
        if self.factor != 1:
            beyond = beyond.repeat(self.factor, 0).repeat(self.factor, 1)
        return _as(low + (high - low) * found + beyond, pixels.dtype)

    def grid(self, path: Path) -> tuple[int, int]:
        """Height and width of the output for the image in the file."""
        height, width = decode(path).shape[:2]
        return self.factor * height, self.factor * width

    def at(self, channels: int | None, size: int | None) -> "NativePreprocessing":
        """The same with other channels and crops of another size, if both are given."""
        return replace(self, channels=channels, size=size) if channels and size else self

    def refit(self, x: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c s s"]:
        """Crop images in memory; the resolution stays.

        Raises:
            DataError: they are smaller, or have other channels.
        """
        if self.channels != x.shape[1] or self.size > x.shape[2]:
            raise DataError(
                f"There are no files to read again at {self.channels} x {self.size} x "
                f"{self.size}: take channels={x.shape[1]} and at most size={x.shape[2]}."
            )
        return x[:, :, : self.size, : self.size]

    def support(self, examples: Examples) -> Examples:
        """The same: images are crops of one size."""
        return examples


def scaled(pixels: Shaped[ndarray, "h w c"], low: float, high: float) -> Float[ndarray, "h w c"]:
    """Map `low` ... `high` to 0 ... 1, with clipping."""
    return ((pixels.astype(np.float64) - low) / (high - low)).clip(0, 1)


def enlarged(values: Float[ndarray, "h w c"], factor: int) -> Float[ndarray, "H W c"]:
    """Bicubic upsampling by `factor`, clipped to [0, 1]."""
    height, width = (factor * side for side in values.shape[:2])
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        for plane in values.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane, np.float64) for plane in planes], 2).clip(0, 1)


def busiest(values: Float[ndarray, "d h w"], size: int) -> tuple[slice, slice]:
    """Position of the crop of `size` pixels with the highest variance, to avoid background."""
    tops, lefts = (sorted({*range(0, n - size, STEP), n - size}) for n in values.shape[1:])
    squares = [(slice(t, t + size), slice(x, x + size)) for t in tops for x in lefts]
    return max(squares, key=lambda at: float(values[:, *at].var()))


def eight_bits(values: Float[ndarray, "d s s"]) -> UInt8[ndarray, "d s s"]:
    """8-bit values from numbers in [0, 1]."""
    return (255 * values).round().astype(np.uint8)


def _as(values: Float[ndarray, "h w c"], dtype: np.dtype) -> Shaped[ndarray, "h w c"]:
    if dtype.kind == "b":
        return (255 * values.clip(0, 1)).round().astype(np.uint8)
    if dtype.kind == "f":
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    return values.round().clip(limits.min, limits.max).astype(dtype)


@part("preprocessing", "volume")
@dataclass(frozen=True)
class VolumePreprocessing:
    """Window the values to 0 ... 255 and resample to `spacing` mm (z, y, x), at any shape.

    The window is the file's own, or else the 0.5th and 99.5th percentile of its values without
    padding, which becomes 0. Without `spacing`, voxels are not resampled.
    """

    spacing: Sequence[float] | None = None
    channels = 1
    size = None
    dims: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.spacing is not None and (len(self.spacing) != 3 or min(self.spacing) <= 0):
            raise ConfigError(
                f"spacing={list(self.spacing)} must be three numbers above 0, mm along z, y, x."
            )

    def read(self, path: Path) -> Float[Tensor, "1 z h w"]:
        """Read one volume, in [0, 1]."""
        return unit(torch.from_numpy(self.fit(read_volume(path)))[None])

    def grid(self, path: Path) -> tuple[int, ...]:
        """Depth, height and width of the volume in the file, in the orientation of memory."""
        return read_volume(path).values.shape

    def stored(self, mask: Integer[ndarray, "z h w"], path: Path) -> Integer[ndarray, "i j k"]:
        """A mask in the storage order of the volume in the file."""
        return read_volume(path).grid.turn_back(mask)

    def at(self, channels: int | None, size: int | None) -> "VolumePreprocessing":
        """The same; volumes keep their shape. Raises `DataError` for an encoder of images."""
        if channels and size:
            raise DataError(
                "These are volumes, and this encoder takes images. Take a learner on an encoder "
                'for volumes, "unet3d" or "filters3d".'
            )
        return self

    def refit(self, x: UInt8[Tensor, "n 1 z h w"]) -> UInt8[Tensor, "n 1 z h w"]:
        """The same: volumes keep their shape."""
        return x

    def support(self, examples: Examples) -> Examples:
        """Patches of large volumes."""
        return patches(examples)

    def fit(self, volume: Volume) -> UInt8[ndarray, "d r c"]:
        """Window and resample a volume."""
        values = volume.values.astype(np.float32)
        padded = volume.padding
        inside = values if padded is None else values[~padded]
        low, high = volume.window or np.percentile(inside, WINDOW)
        if low >= high:
            low, high = inside.min(), inside.max()
        shown = ((values - low) / (high - low)).clip(0, 1)
        seen = torch.from_numpy(shown if padded is None else np.where(padded, 0, shown))
        new = self._shape(volume)
        if new != values.shape:
            seen = F.interpolate(seen[None, None], new, mode="trilinear")[0, 0]
        return (255 * seen).round().byte().numpy()

    def fit_mask(
        self, mask: Integer[ndarray, "z h w"], volume: Volume
    ) -> Integer[ndarray, "d r c"]:
        """Resample the mask of a volume by nearest neighbor."""
        numbers = torch.from_numpy(mask.astype(np.float32))[None, None]
        new = self._shape(volume)
        if new != mask.shape:
            numbers = F.interpolate(numbers, new, mode="nearest-exact")
        return numbers[0, 0].numpy().astype(mask.dtype)

    def _shape(self, volume: Volume) -> tuple[int, ...]:
        if self.spacing is None:
            return volume.values.shape
        pairs = zip(volume.values.shape, volume.spacing, self.spacing, strict=True)
        return tuple(max(1, round(n * mm / wanted)) for n, mm, wanted in pairs)


def patches(examples: Examples, side: int = SIDE) -> Examples:
    """Cut `examples` into patches of at most `side` voxels a side, if they are larger.

    All patches with foreground are kept, and as many evenly spaced background patches. A patch
    keeps its patient.
    """
    sides = examples.x.shape[2:]
    if max(sides) <= side:
        return examples
    parts = [_cut(examples, corner, side) for corner in itertools.product(*map(_starts, sides))]
    x, y = torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])
    groups = None if examples.groups is None else torch.cat([examples.groups] * len(parts))
    return Examples(x, y, groups)[_kept((y > 0).flatten(1).any(1), (y >= 0).flatten(1).any(1))]


def _starts(side: int) -> list[int]:
    """Start of patches along one axis: the last one ends where the volume does."""
    return sorted({min(start, max(0, side - SIDE)) for start in range(0, side, SIDE)})


def _cut(examples: Examples, corner: tuple[int, ...], side: int) -> Examples:
    place = tuple(slice(start, start + side) for start in corner)
    return Examples(examples.x[(..., *place)], examples.y[(..., *place)])


def _kept(marked: Bool[Tensor, "n"], known: Bool[Tensor, "n"]) -> Tensor:
    """Indices of the patches with foreground, and of as many other labeled ones."""
    plain = (known & ~marked).nonzero().flatten()
    wanted = min(len(plain), max(1, int(marked.sum())))
    evenly = torch.linspace(0, len(plain) - 1, wanted).round().long() if wanted else plain[:0]
    return torch.cat([marked.nonzero().flatten(), plain[evenly]]).sort().values
