"""One image file to pixels: PNG, JPEG and TIFF, grey and colour, 8 and 16 bit and float."""

import warnings
from pathlib import Path

import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from medshot.core.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
WINDOW = (0.5, 99.5)  # percentiles of an image that become 0 and 255 where it has over 8 bits
MENDING = "Open it in a viewer, and export it again or leave it out."


def read_image(path: Path) -> UInt8[ndarray, "h w c"]:
    """The pixels of `path`, 1 or 3 channels, 0 to 255.

    8-bit values are kept. 16-bit and float images are windowed by their own 0.5th and 99.5th
    percentile, because what their full range means depends on the scanner.

    Raises:
        DataError: missing, truncated, no image, several pages, NaN, or the same value everywhere.
    """
    pixels = _decode(path)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        shape = " x ".join(map(str, pixels.shape))
        raise DataError(
            f"{path} holds {shape} values: not one grey or colour image. One image a file, please."
        )
    pixels = pixels[:, :, : 1 if pixels.shape[2] < 3 else 3]  # without its opacity, if any
    return _to_uint8(pixels, path)


def _decode(path: Path) -> Shaped[ndarray, "..."]:
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path} is not read: {', '.join(SUFFIXES)} are. Convert it first.")
    if not path.is_file():
        raise DataError(f"{path} does not exist. Correct the path, or leave it out of the list.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if path.suffix.lower() in (".tif", ".tiff"):
                return _decode_tiff(path)
            with Image.open(path) as image:
                return _decode_pillow(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise DataError(f"{path} promises too many pixels ({error}). {MENDING}") from error
    except (UnidentifiedImageError, tifffile.TiffFileError) as error:
        raise DataError(f"{path} is no {path.suffix} image, whatever its name. {MENDING}") from error
    except (OSError, SyntaxError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path} is damaged or truncated ({error}). {MENDING}") from error


def _decode_pillow(image: Image.Image) -> Shaped[ndarray, "..."]:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        upright = upright.convert("RGB")
    if upright.mode == "1":
        upright = upright.convert("L")
    return np.asarray(upright)


def _decode_tiff(path: Path) -> Shaped[ndarray, "..."]:
    with tifffile.TiffFile(path) as file:
        if len(file.pages) != 1:
            raise DataError(f"{path} holds {len(file.pages)} pages: one image a file, please.")
        page = file.pages[0]
        if page.size * page.dtype.itemsize > 2**30:  # type: ignore[union-attr]
            raise MemoryError("over 1 GiB")
        pixels = page.asarray()
        inverted = getattr(page.photometric, "name", "") == "MINISWHITE"  # type: ignore[union-attr]
    if pixels.ndim == 3 and pixels.shape[0] in (3, 4) and pixels.shape[2] not in (3, 4):
        pixels = np.moveaxis(pixels, 0, 2)  # planes first
    return pixels.max() - pixels if inverted else pixels


def _to_uint8(pixels: Shaped[ndarray, "h w c"], path: Path) -> UInt8[ndarray, "h w c"]:
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    if not np.isfinite(pixels).all():
        raise DataError(f"{path} holds values that are not finite (NaN or infinity). {MENDING}")
    if pixels.min() == pixels.max():
        raise DataError(f"{path} has the same value everywhere: there is nothing on it. {MENDING}")
    if pixels.dtype == np.uint8:
        return pixels
    values = pixels.astype(np.float64)
    low, high = np.percentile(values, WINDOW)
    if low == high:  # all but a few pixels are equal: keep those few
        low, high = values.min(), values.max()
    return (255 * ((values - low) / (high - low)).clip(0, 1)).round().astype(np.uint8)
