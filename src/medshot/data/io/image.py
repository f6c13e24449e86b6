"""Image and mask files of any format: pixels windowed to 8 bits, class numbers."""

from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from medshot.core import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.registry import (
    IMAGES,
    VOLUMES,
    format_in,
    image_format,
    is_dicom,
    volume_suffix,
)


def negative(pixels: Shaped[ndarray, "..."]) -> Shaped[ndarray, "..."]:
    """Invert gray values in the range of the dtype (of the image, for floats)."""
    if pixels.dtype == bool:
        return ~pixels
    if pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    return pixels.max() + pixels.min() - pixels


WINDOW = (0.5, 99.5)  # percentiles that become 0 and 255 in images of over 8 bits
FIX = "Open it in a viewer, and export it again or leave it out."
ONE = "A file must hold one image: export each one separately."


def read_image(path: Path) -> UInt8[ndarray, "h w c"]:
    """Read the pixels of `path`, 1 or 3 channels, 0 to 255.

    8-bit values are kept. 16-bit and float images are windowed by their own 0.5th and 99.5th
    percentile, because the meaning of their full range depends on the scanner. A DICOM file with
    display settings is converted by them.

    Raises:
        DataError: missing, truncated, not an image, several pages, NaN, or a constant image.
    """
    return windowed(decode(path))


def decode(path: Path) -> Shaped[ndarray, "h w c"]:
    """Read the values of `path` as `stored`, 1 or 3 channels, finite and not constant.

    Raises:
        DataError: as `read_image`.
    """
    pixels = stored(path)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        shape = " x ".join(map(str, pixels.shape))
        raise _bad(path, f"it holds {shape} values: not one grey or colour image", ONE)
    pixels = pixels[:, :, : 1 if pixels.shape[2] < 3 else 3]  # without an alpha channel
    if pixels.dtype.kind not in "buif":
        raise _bad(path, f"its values are of the type {pixels.dtype}")
    if not np.isfinite(pixels).all():
        raise _bad(path, "it holds values that are not finite (NaN or infinity)")
    if pixels.min() == pixels.max():
        raise _bad(path, "it has the same value everywhere: there is nothing on it")
    return pixels


def windowed(pixels: Shaped[ndarray, "h w c"]) -> UInt8[ndarray, "h w c"]:
    """Window decoded values to 8 bits."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint8:
        return pixels
    low, high = window_of(pixels)
    values = pixels.astype(np.float64)
    return (255 * ((values - low) / (high - low)).clip(0, 1)).round().astype(np.uint8)


def window_of(pixels: Shaped[ndarray, "h w c"]) -> tuple[float, float]:
    """The values that become black and white; the full range for an 8-bit image."""
    if pixels.dtype == bool:
        return 0.0, 1.0
    if pixels.dtype == np.uint8:
        return 0.0, 255.0
    values = pixels.astype(np.float64)
    low, high = np.percentile(values, WINDOW)
    if low == high:  # all but a few pixels are equal: keep those few
        low, high = values.min(), values.max()
    return float(low), float(high)


def stored(path: Path, *, palette: bool = False) -> Shaped[ndarray, "..."]:
    """Read the stored values of `path`, upright; with `palette`, palette indices, not colors.

    DICOM is recognized by its content, whatever the name, and windowed by its header.

    Raises:
        DataError: missing, truncated, not an image, several pages.
    """
    known, suffix = image_format(path), path.suffix.lower()
    if not path.is_file():
        what = "it is a folder, not an image" if path.is_dir() else "it does not exist"
        raise _bad(path, what, "Correct the path, or leave it out of the list.")
    if known is None and volume_suffix(path):
        what = "it is a volume, not an image"
        raise _bad(path, what, "Read it by medshot.read_volume, or export its slices.")
    if known is None:
        what = f"files of this kind are not read, {', '.join(IMAGES.all())} are"
        raise _bad(path, what, "Convert it first.")
    try:
        return known.read(path, palette=palette)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise _bad(path, f"it promises too many pixels ({error})") from error
    except (UnidentifiedImageError, tifffile.TiffFileError) as error:
        if volume := format_in(path, VOLUMES):
            what = f"by its content it is a {volume.name} volume, no {suffix} image"
            raise _bad(path, what, "Rename it, and read it as a volume.") from error
        raise _bad(path, f"it is no {suffix} image, despite its name") from error
    except Exception as error:  # libraries raise any exception on damaged bytes
        raise _bad(path, f"it is damaged or truncated ({error})") from error


def _bad(path: Path, what: str, fix: str = FIX) -> DataError:
    return refusal(path, what, fix).error()


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
