"""TIFF files to arrays. Two readers share the work.

tifffile gives every depth (16-bit colour, float) as it is stored; Pillow knows the compressions
(LZW, JPEG, fax) and the colour spaces (palette, CMYK, YCbCr) that tifffile alone does not.
"""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from jaxtyping import Shaped
from numpy import ndarray

from medshot.data.finding import refusal

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
