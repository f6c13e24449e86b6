"""PNG, JPEG and TIFF, gray and color, 8 and 16 bit and float, by Pillow and tifffile.

Two readers share TIFF: tifffile gives every depth (16-bit color, float) as it is stored; Pillow
knows the compressions (LZW, JPEG, fax) and the color spaces (palette, CMYK, YCbCr) that tifffile
alone does not.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from jaxtyping import Shaped
from numpy import ndarray
from PIL import Image, ImageOps

from medshot.data.checks.issue import refusal
from medshot.data.io.image import ONE, negative
from medshot.data.io.registry import image_reader

MOST_BYTES = 2**30
PLAIN = ("MINISWHITE", "MINISBLACK", "RGB")  # values are intensities, or inverted ones
ORIENTATION = 274
TURNS = {  # transpositions to the upright orientation, by the numbers of TIFF 6.0
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}


def decode_tiff(path: Path) -> Shaped[ndarray, "..."] | None:
    """Decode the single page of `path`, upright, not inverted; None if Pillow should read it.

    Raises:
        DataError: it has several pages.
        MemoryError: it promises over 1 GiB.
    """
    with tifffile.TiffFile(path) as file:
        if len(file.pages) != 1:
            what = f"it holds {len(file.pages)} pages"
            raise refusal(path, what, ONE).error()
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
        if page.axes.startswith("S"):  # planar: one plane for each channel
            pixels = np.moveaxis(pixels, 0, -1)
        tag = page.tags.get(ORIENTATION)
    upright = TURNS.get(int(tag.value) if tag else 1, np.asarray)(pixels)
    return negative(upright) if name == "MINISWHITE" else upright


def _refuse_huge(page: Any) -> None:
    if page.dtype is None:
        raise ValueError("it does not say what kind of values it holds")
    if page.size * page.dtype.itemsize > MOST_BYTES:
        raise MemoryError("over 1 GiB")


TIFF = (b"II*\x00", b"MM\x00*")  # of little and of big endian
MOST_PIXELS = 89_478_485  # Pillow's own limit, above which it warns of a decompression bomb


def _numbers_of_png(path: Path) -> Shaped[ndarray, "..."]:
    return _by_pillow(path, ("PNG", "JPEG"), palette=True)


def _numbers_of_tiff(path: Path) -> Shaped[ndarray, "..."]:
    return read_tiff(path, palette=True)


@image_reader(".png", name="PNG", magic=b"\x89PNG", indices=_numbers_of_png)
@image_reader(".jpg", ".jpeg", name="JPEG", magic=b"\xff\xd8\xff")
def read_png_or_jpeg(path: Path) -> Shaped[ndarray, "..."]:
    """Read the values of a PNG or JPEG, upright, whatever its suffix."""
    return _by_pillow(path, ("PNG", "JPEG"))


@image_reader(".tif", ".tiff", name="TIFF", magic=TIFF, indices=_numbers_of_tiff)
def read_tiff(path: Path, *, palette: bool = False) -> Shaped[ndarray, "..."]:
    """Read the values of the single page of `path`, upright."""
    pixels = decode_tiff(path)
    return _by_pillow(path, ("TIFF",), palette=palette) if pixels is None else pixels


def _by_pillow(
    path: Path, formats: tuple[str, ...], *, palette: bool = False
) -> Shaped[ndarray, "..."]:
    # Only the named formats: some of Pillow's readers start programs.
    with Image.open(path, formats=formats) as image:
        if image.width * image.height > MOST_PIXELS:
            raise MemoryError(f"{image.width} x {image.height}")
        frames = getattr(image, "n_frames", 1)
        if image.format == "PNG" and frames > 1:
            raise refusal(path, f"it holds {frames} pages", ONE).error()
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
