"""Read masks: images of class numbers."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image

from medshot.core.errors import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.image import stored
from medshot.data.io.registry import is_dicom

MOST_CLASSES = 32
NUMBERS = "A mask is grey or has a palette: 0 is background, 1, 2, ... is what is marked."


def read_mask(path: Path) -> UInt8[ndarray, "h w"]:
    """Read the class numbers in `path`. A mask of 0 and 255 only is read as 0 and 1.

    Raises:
        DataError: it cannot be read, or is a picture and not a mask.
    """
    if path.suffix.lower() in (".jpg", ".jpeg"):
        raise refusal(path, "it is a JPEG, which changes numbers", NUMBERS + " Take PNG.").error()
    if is_dicom(path):
        raise refusal(path, "it is a DICOM picture, not a mask", NUMBERS + " Take PNG.").error()
    values = _one_channel(stored(path, palette=True), path) // _scale(path)
    if values.dtype.kind not in "bui" or (values < 0).any():
        raise refusal(path, f"its values are of the type {values.dtype}", NUMBERS).error()
    found = np.unique(values)
    if set(found.tolist()) <= {0, 255} or set(found.tolist()) <= {0, 65535}:
        return (values > 0).astype(np.uint8)
    if len(found) > MOST_CLASSES or found[-1] >= MOST_CLASSES:
        what = f"it holds {len(found)} values up to {found[-1]}: a picture, not class numbers"
        raise refusal(path, what, NUMBERS + " JPEG compression or smoothing ruins it.").error()
    return values.astype(np.uint8)


def fit_mask(mask: UInt8[ndarray, "h w"], size: int) -> UInt8[ndarray, "s s"]:
    """Resample a mask to a square grid by nearest neighbor, so that no new number appears."""
    return np.asarray(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST))


def _one_channel(values: Shaped[ndarray, "..."], path: Path) -> Shaped[ndarray, "h w"]:
    if values.ndim == 3 and values.shape[2] in (2, 4):
        if values[:, :, -1].min() < values[:, :, -1].max():
            what = "part of it is transparent, and whether that marks something is not known"
            raise refusal(path, what, NUMBERS).error()
        values = values[:, :, :-1]
    if values.ndim == 3 and (values == values[:, :, :1]).all():
        values = values[:, :, 0]
    if values.ndim != 2:
        raise _coloured(path)
    return values


def _scale(path: Path) -> int:
    """Factor by which Pillow scales the values of a gray PNG of 2 or 4 bits."""
    if path.suffix.lower() != ".png":
        return 1
    with path.open("rb") as file:
        depth, colour = file.read(26)[24:26]
    return {2: 85, 4: 17}.get(depth, 1) if colour == 0 else 1


def _coloured(path: Path) -> DataError:
    what = "it is in colour, and what number a colour stands for is not known"
    return refusal(path, what, NUMBERS).error()
