"""From an image file to numbers at its own resolution, and back again."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from medshot.core.errors import unknown
from medshot.core.parts import part
from medshot.data.read import decode, window_of

LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R 601
STEP = 32  # pixels between the squares that are looked at


@part("preprocessing", "native")
@dataclass(frozen=True)
class NativePreprocessing:
    """Sets the number of channels and leaves the resolution: what is learnt is what pixels do.

    Learning takes the square of `size` pixels of each image on which most is to be seen; predicting
    takes the whole image. With a `factor`, the image is first made as many times larger (bicubic).
    """

    channels: int = 3
    size: int = 128
    factor: int = 1
    dims: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise unknown(str(self.channels), ("1", "3"), kind="number of channels")

    def read(self, path: Path) -> Float[Tensor, "d h w"]:
        """One file, all of it, in [0, 1]."""
        pixels = decode(path)
        low, high = window_of(pixels)
        return torch.from_numpy(self.fit(scaled(pixels, low, high))).float()

    def fit(self, values: Float[ndarray, "h w c"]) -> Float[ndarray, "d H W"]:
        """Values in [0, 1] with the channels and the resolution asked for."""
        if self.factor != 1:
            values = enlarged(values, self.factor)
        if values.shape[2] == 3 and self.channels == 1:
            values = values @ LUMINANCE[:, None]
        planes = values.transpose(2, 0, 1)
        return np.broadcast_to(planes, (self.channels, *planes.shape[1:])).copy("C")

    def restore(self, values: Float[Tensor, "c h w"], path: Path) -> Shaped[ndarray, "h w d"]:
        """`values` with the channels, the type and the range of the image in `path`.

        What its window had cut off, above and below, is added again.
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
        """The height and width of the answer for the image in the file."""
        height, width = decode(path).shape[:2]
        return self.factor * height, self.factor * width

    def at(self, channels: int, size: int) -> "NativePreprocessing":
        """The same in another form."""
        return replace(self, channels=channels, size=size)


def scaled(pixels: Shaped[ndarray, "h w c"], low: float, high: float) -> Float[ndarray, "h w c"]:
    """`low` to `high` as 0 to 1; what lies outside is cut off."""
    return ((pixels.astype(np.float64) - low) / (high - low)).clip(0, 1)


def enlarged(values: Float[ndarray, "h w c"], factor: int) -> Float[ndarray, "H W c"]:
    """`factor` times as large, by bicubic interpolation, in [0, 1]."""
    height, width = (factor * side for side in values.shape[:2])
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        for plane in values.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane, np.float64) for plane in planes], 2).clip(0, 1)


def busiest(values: Float[ndarray, "d h w"], size: int) -> tuple[slice, slice]:
    """Where the square of `size` pixels is whose values differ most: not the background."""
    tops, lefts = (sorted({*range(0, n - size, STEP), n - size}) for n in values.shape[1:])
    squares = [(slice(t, t + size), slice(x, x + size)) for t in tops for x in lefts]
    return max(squares, key=lambda at: float(values[:, *at].var()))


def eight_bits(values: Float[ndarray, "d s s"]) -> UInt8[ndarray, "d s s"]:
    """Numbers in [0, 1] as they are kept in memory."""
    return (255 * values).round().astype(np.uint8)


def _as(values: Float[ndarray, "h w c"], dtype: np.dtype) -> Shaped[ndarray, "h w c"]:
    if dtype.kind == "b":
        return (255 * values.clip(0, 1)).round().astype(np.uint8)
    if dtype.kind == "f":
        return values.astype(np.float32)
    limits = np.iinfo(dtype)
    return values.round().clip(limits.min, limits.max).astype(dtype)
