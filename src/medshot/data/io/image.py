"""Read an image file of any format: checked, windowed to 8 bits."""

from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image, UnidentifiedImageError

from medshot.core.errors import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.registry import IMAGES, VOLUMES, format_in, image_format, volume_suffix


def negative(pixels: Shaped[ndarray, "..."]) -> Shaped[ndarray, "..."]:
    """Invert gray values in the range of the dtype (of the image, for floats)."""
    if pixels.dtype == bool:
        return ~pixels
    if pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    return pixels.max() + pixels.min() - pixels


WINDOW = (0.5, 99.5)  # percentiles that become 0 and 255 in images of over 8 bits
MENDING = "Open it in a viewer, and export it again or leave it out."
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
    if known is None and volume_suffix(path):
        what = "it is a volume, not an image"
        raise _bad(path, what, "Read it by medshot.read_volume, or export its slices.")
    if known is None:
        what = f"files of this kind are not read, {', '.join(IMAGES.all())} are"
        raise _bad(path, what, "Convert it first.")
    if not path.is_file():
        what = "it is a folder, not an image" if path.is_dir() else "it does not exist"
        raise _bad(path, what, "Correct the path, or leave it out of the list.")
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


def _bad(path: Path, what: str, mend: str = MENDING) -> DataError:
    return refusal(path, what, mend).error()
