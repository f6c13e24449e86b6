"""PNG, JPEG and TIFF, gray and color, 8 and 16 bit and float, by Pillow and tifffile.

Two readers share TIFF: tifffile gives every depth (16-bit color, float) as it is stored; Pillow
knows the compressions (LZW, JPEG, fax) and the color spaces (palette, CMYK, YCbCr) that tifffile
alone does not. This module is part of the exported script (see `pixels`).
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from medshot.data.io.pixels import AS_PNG, ONE, UnreadableError, negative

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # of either endian; the last two BigTIFF
MOST_BYTES = 2**30
MOST_PIXELS = 89_478_485  # Pillow's own limit, above which it warns of a decompression bomb
PLAIN = ("MINISWHITE", "MINISBLACK", "RGB")  # values are intensities, or inverted ones
BITS, PHOTOMETRIC, ORIENTATION, SIGNED = 258, 262, 274, 339  # tags of TIFF 6.0
TURNS = {  # transpositions to the upright orientation, by the numbers of TIFF 6.0
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}


def read_png_or_jpeg(path: Path, *, palette: bool = False) -> ndarray:
    """Read the values of a PNG or JPEG, upright; with `palette`, palette indices, not colors.

    Of a JPEG with several images (MPO: a stereo pair, a depth map), the first is read.

    Raises:
        UnreadableError: an animation, or too large.
    """
    with _opened(path, ("PNG", "JPEG")) as image:
        frames = getattr(image, "n_frames", 1)
        if image.format == "PNG" and frames > 1:
            raise UnreadableError(f"it holds {frames} pages", ONE)
        return _values(image, palette)


def read_tiff(path: Path, *, palette: bool = False) -> ndarray:
    """Read the values of the one page of `path` that is no thumbnail, upright.

    Raises:
        UnreadableError: it has several pages, or of a kind that neither library decodes in full.
        MemoryError: it promises over 1 GiB.
    """
    try:
        import tifffile  # noqa: PLC0415  (the exported script may run without it)
    except ImportError:
        raise UnreadableError("TIFF needs tifffile", "Type: pip install tifffile") from None
    with tifffile.TiffFile(path) as file:
        at, page = _page(file)
        name = getattr(page.photometric, "name", "")
        whole = name in PLAIN and not 1 < page.bitspersample < 8
        pixels = _by_tifffile(page) if whole else None
        mark = page.tags.get(ORIENTATION)
    if pixels is None:
        with _opened(path, ("TIFF",)) as image:
            image.seek(at)
            return _values(image, palette)
    pixels = TURNS.get(int(mark.value) if mark else 1, np.asarray)(pixels)
    return negative(pixels) if name == "MINISWHITE" else pixels


def _page(file: Any) -> tuple[int, Any]:
    """The image of a TIFF file: the only page, or the only one that is no reduced copy."""
    pages = [(at, page.aspage()) for at, page in enumerate(file.pages)]
    if len(pages) > 1:
        pages = [(at, page) for at, page in pages if not page.is_reduced] or pages
    if not pages:
        raise UnreadableError("it is damaged or truncated: it holds no page")
    several = len(pages) if len(pages) != 1 else (file.imagej_metadata or {}).get("images", 1)
    if several != 1:
        raise UnreadableError(f"it holds {several} pages", ONE)
    at, page = pages[0]
    if page.dtype is None:
        raise UnreadableError("it does not say what kind of values it holds", AS_PNG)
    if page.size * page.dtype.itemsize > MOST_BYTES:
        raise MemoryError("over 1 GiB")
    ends = [a + n for a, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
    if max(ends, default=0) > file.filehandle.size:
        raise UnreadableError("it is damaged or truncated: it ends before its pixels do")
    return at, page


def _by_tifffile(page: Any) -> ndarray | None:
    """Values of a page, channels last; None if tifffile has no decoder."""
    try:
        pixels = page.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            return None
        raise
    return np.moveaxis(pixels, 0, -1) if page.axes.startswith("S") else pixels  # planar


def _opened(path: Path, formats: tuple[str, ...]) -> Image.Image:
    # Only the named formats: some of Pillow's readers start programs.
    try:
        image = Image.open(path, formats=formats)
    except UnidentifiedImageError:
        kinds = " or ".join(formats)
        what = f"it begins as {kinds}, but its header is damaged or of a kind that Pillow lacks"
        raise UnreadableError(what, AS_PNG) from None
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise MemoryError(f"{image.width} x {image.height}")
    return image


def _values(image: Any, palette: bool) -> ndarray:
    """Values of an opened image, upright, at their full depth."""
    tags = image.tag_v2 if image.format == "TIFF" else {}
    depth = max(tags.get(BITS, (1,)))
    if ";16" in str(_raw_mode(image)) and image.mode in ("RGB", "RGBA", "RGBX"):
        return _sixteen_bits(image)
    if depth > 8 and not image.mode.startswith(("I", "F")):
        what = f"its {depth} bits a value would be cut to 8 in this compression or colour"
        raise UnreadableError(what, AS_PNG)
    raw = str(_raw_mode(image))
    if image.tile[0].codec_name == "libtiff" and raw in FOREIGN:
        return _inverted(_decoded_as(image, raw.replace("B", "N")), tags)
    upright = ImageOps.exif_transpose(image)
    if not palette and upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA")
    if upright.mode == "LAB":
        raise UnreadableError("its colours are in CIELAB", AS_PNG)
    if upright.mode in ("CMYK", "YCbCr", "HSV"):
        upright = upright.convert("RGB")
    if upright.mode == "1":
        upright = upright.convert("L")
    values = np.asarray(upright)
    unsigned = depth == 32 and tags.get(SIGNED, (1,))[0] == 1
    values = values.view(np.uint32) if unsigned and upright.mode == "I" else values
    return _inverted(values, tags) if depth > 8 else values  # Pillow inverts 8 bits itself


# Raw modes of big-endian values that Pillow takes from libtiff, which gives those of the machine.
FOREIGN = ("I;16BS", "I;32B", "I;32BS", "F;32BF", "F;64BF")


def _inverted(values: ndarray, tags: Any) -> ndarray:
    return negative(values) if tags.get(PHOTOMETRIC) == 0 else values


def _raw_mode(image: Any) -> Any:
    args = image.tile[0].args if image.tile else None
    return args if isinstance(args, str) else args[0] if args else None


def _sixteen_bits(image: Any) -> ndarray:
    """Both bytes of 16-bit color, of which Pillow keeps one: decoded once for each."""
    raw = _raw_mode(image)
    if raw == "LA;16B":  # gray and alpha: its four bytes are as long as four channels
        found = _decoded_as(image, "RGBA").astype(np.uint16)
        return found[:, :, ::2] << 8 | found[:, :, 1::2]
    kind = raw.partition(";")[0]
    if raw not in (f"{kind};16{order}" for order in "BLN") or kind not in ("RGB", "RGBA", "RGBX"):
        raise UnreadableError(f"its 16 bits are stored as {raw}, which would be cut to 8", AS_PNG)
    first, second = (_decoded_as(image, f"{kind};16{order}").astype(np.uint16) for order in "BL")
    little = raw.endswith("L") or (raw.endswith("N") and sys.byteorder == "little")
    return second << 8 | first if little else first << 8 | second


def _decoded_as(image: Any, raw: str) -> ndarray:
    """Decode an image again with another raw mode, upright."""
    with Image.open(image.filename, formats=(image.format,)) as again:
        again.seek(image.tell())
        (tile,) = again.tile  # pyright: ignore[reportAttributeAccessIssue]
        args: Any = (raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw
        again.tile = [tile._replace(args=args)]  # pyright: ignore[reportAttributeAccessIssue]
        return np.asarray(ImageOps.exif_transpose(again))
