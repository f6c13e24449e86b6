"""One image file to pixels: PNG, JPEG, TIFF and DICOM, gray and color, 8 and 16 bit and float.

Two readers share TIFF: tifffile gives every depth (16-bit color, float) as it is stored; Pillow
knows the compressions (LZW, JPEG, fax) and the color spaces (palette, CMYK, YCbCr) that tifffile
alone does not.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from jaxtyping import Shaped, UInt8
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from medshot.core.errors import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.sniff import DICOM, is_dicom, reader, volume_in, volume_suffix

MOST_BYTES = 2**30
PLAIN = ("MINISWHITE", "MINISBLACK", "RGB")  # the values are what is seen, or its negative
ORIENTATION = 274
TURNS = {  # how a picture must be moved to stand upright, by TIFF 6.0's numbers
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}


def decode_tiff(path: Path) -> Shaped[ndarray, "..."] | None:
    """The values of the one page of `path`, upright, ink dark; None if Pillow should read it.

    Raises:
        DataError: it has several pages.
        MemoryError: it promises over 1 GiB.
    """
    with tifffile.TiffFile(path) as file:
        if len(file.pages) != 1:
            what = f"it holds {len(file.pages)} pages"
            raise refusal(path, what, "One image a file, please: export each by itself.").error()
        page: Any = file.pages[0]
        _refuse_huge(page)
        name = getattr(page.photometric, "name", "")
        if name not in PLAIN or 1 < page.bitspersample < 8:
            return None
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" in str(error):  # a compression that tifffile has no decoder for
                return None
            raise
        if page.axes.startswith("S"):  # one plane a colour
            pixels = np.moveaxis(pixels, 0, -1)
        tag = page.tags.get(ORIENTATION)
    upright = TURNS.get(int(tag.value) if tag else 1, np.asarray)(pixels)
    return negative(upright) if name == "MINISWHITE" else upright


def negative(pixels: Shaped[ndarray, "..."]) -> Shaped[ndarray, "..."]:
    """Black for white, in the range of the type (of the image, if that is float)."""
    if pixels.dtype == bool:
        return ~pixels
    if pixels.dtype.kind == "u":
        return np.iinfo(pixels.dtype).max - pixels
    return pixels.max() + pixels.min() - pixels


def _refuse_huge(page: Any) -> None:
    if page.dtype is None:
        raise ValueError("it does not say what kind of values it holds")
    if page.size * page.dtype.itemsize > MOST_BYTES:
        raise MemoryError("over 1 GiB")


SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", DICOM)
WINDOW = (0.5, 99.5)  # percentiles of an image that become 0 and 255 where it has over 8 bits
MOST_PIXELS = 89_478_485  # Pillow's own mark, where it warns of a decompression bomb
MENDING = "Open it in a viewer, and export it again or leave it out."
ONE = "One image a file, please: export each by itself."


def read_image(path: Path) -> UInt8[ndarray, "h w c"]:
    """The pixels of `path`, 1 or 3 channels, 0 to 255.

    8-bit values are kept. 16-bit and float images are windowed by their own 0.5th and 99.5th
    percentile, because what their full range means depends on the scanner. A DICOM file that says
    how it is to be shown is shown so.

    Raises:
        DataError: missing, truncated, no image, several pages, NaN, or the same value everywhere.
    """
    return windowed(decode(path))


def decode(path: Path) -> Shaped[ndarray, "h w c"]:
    """The values of `path` as `stored`, 1 or 3 channels, finite and not all the same.

    Raises:
        DataError: as `read_image`.
    """
    pixels = stored(path)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        shape = " x ".join(map(str, pixels.shape))
        raise _bad(path, f"it holds {shape} values: not one grey or colour image", ONE)
    pixels = pixels[:, :, : 1 if pixels.shape[2] < 3 else 3]  # without its opacity, if any
    if pixels.dtype.kind not in "buif":
        raise _bad(path, f"its values are of the type {pixels.dtype}")
    if not np.isfinite(pixels).all():
        raise _bad(path, "it holds values that are not finite (NaN or infinity)")
    if pixels.min() == pixels.max():
        raise _bad(path, "it has the same value everywhere: there is nothing on it")
    return pixels


def windowed(pixels: Shaped[ndarray, "h w c"]) -> UInt8[ndarray, "h w c"]:
    """Decoded values as 8-bit ones."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint8:
        return pixels
    low, high = window_of(pixels)
    values = pixels.astype(np.float64)
    return (255 * ((values - low) / (high - low)).clip(0, 1)).round().astype(np.uint8)


def window_of(pixels: Shaped[ndarray, "h w c"]) -> tuple[float, float]:
    """The values that become black and white: all that there are, where an image has 8 bits."""
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
    """The values of `path`, upright; with `palette`, the numbers in it and not their colours.

    DICOM is known by its content, whatever the name, and shown as its header says.

    Raises:
        DataError: missing, truncated, no image, several pages.
    """
    suffix = path.suffix.lower()
    if is_dicom(path):
        return reader("dicom.image").read_picture(path)
    if volume_suffix(path):
        what = "it is a volume, not an image"
        raise _bad(path, what, "Read it by medshot.read_volume, or export its slices.")
    if suffix not in SUFFIXES:
        what = f"files of this kind are not read, {', '.join(SUFFIXES)} are"
        raise _bad(path, what, "Convert it first.")
    if not path.is_file():
        what = "it is a folder, not an image" if path.is_dir() else "it does not exist"
        raise _bad(path, what, "Correct the path, or leave it out of the list.")
    try:
        return _pixels_of(path, suffix, palette)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise _bad(path, f"it promises too many pixels ({error})") from error
    except (UnidentifiedImageError, tifffile.TiffFileError) as error:
        if volume := volume_in(path):
            what = f"by its content it is a {volume} volume, no {suffix} image"
            raise _bad(path, what, "Rename it, and read it as a volume.") from error
        raise _bad(path, f"it is no {suffix} image, whatever its name") from error
    except Exception as error:  # on damaged bytes, the two libraries raise whatever they fall over
        raise _bad(path, f"it is damaged or truncated ({error})") from error


def _pixels_of(path: Path, suffix: str, palette: bool) -> Shaped[ndarray, "..."]:
    formats = ("PNG", "JPEG")  # no other: some of Pillow's readers start programs
    if suffix in (".tif", ".tiff"):
        pixels = decode_tiff(path)
        if pixels is not None:
            return pixels
        formats = ("TIFF",)
    with Image.open(path, formats=formats) as image:
        if image.width * image.height > MOST_PIXELS:
            raise MemoryError(f"{image.width} x {image.height}")
        frames = getattr(image, "n_frames", 1)
        if image.format == "PNG" and frames > 1:
            raise _bad(path, f"it holds {frames} pages", ONE)
        return _upright(image, palette)


def _upright(image: Image.Image, palette: bool) -> Shaped[ndarray, "..."]:
    upright = ImageOps.exif_transpose(image)
    if not palette and upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA")
    if upright.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        upright = upright.convert("RGB")
    if upright.mode == "1":
        upright = upright.convert("L")
    return np.asarray(upright)


def _bad(path: Path, what: str, mend: str = MENDING) -> DataError:
    return refusal(path, what, mend).error()
