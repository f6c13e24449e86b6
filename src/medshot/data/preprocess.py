"""From an image file to the tensor that an encoder takes, the same at training and at use."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor

from medshot.core.errors import unknown
from medshot.core.parts import part
from medshot.data.read import read_image, stored

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "nearest": Image.Resampling.NEAREST}


@part("preprocessing", "image")
@dataclass(frozen=True)
class ImagePreprocessing:
    """Reads, sets the number of channels, and resizes to a square of `size` pixels.

    Grey to colour repeats the channel; colour to grey is luminance (ITU-R 601). The shape of
    the image is not kept: a wide one is squeezed.
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
        """One file as 8-bit values, as they are kept in memory."""
        return self.fit(read_image(path))

    def fit(self, pixels: UInt8[ndarray, "h w c"]) -> UInt8[ndarray, "d s s"]:
        """Decoded pixels in this form."""
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        image = image.convert("L" if self.channels == 1 else "RGB")
        if image.size != (self.size, self.size):
            image = image.resize((self.size, self.size), FILTERS[self.resize])
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))

    def read(self, path: Path) -> Float[Tensor, "d s s"]:
        """One file in [0, 1]."""
        return unit(torch.from_numpy(self.pixels(path).copy()))

    def grid(self, path: Path) -> tuple[int, int]:
        """The height and width of the image in the file."""
        height, width = stored(path).shape[:2]
        return height, width


def unit(x: UInt8[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
    """8-bit values as numbers in [0, 1]."""
    return x.float() / 255
