"""Pictures of predicted masks on their images, for any viewer: PNG, with the names of classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Integer, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from medshot.core import MaskPrediction, mask_numbers
from medshot.data.draw import colours, overlaid
from medshot.data.io.image import read_image
from medshot.data.io.read_volume import read_volume
from medshot.data.transforms import VolumePreprocessing

SMALLEST, LARGEST = 256, 1024  # long side of a picture in pixels
TILES = 3  # slices of a volume in a row, and rows
LINE = 16  # height in pixels of a line of the legend


def overlay(found: MaskPrediction) -> Image.Image:
    """The image of a predicted mask with the mask on it, and the classes that it shows.

    Images are enlarged or reduced to a long side of 256 to 1024 pixels. Of a volume, nine axial
    slices between the first and the last that show something (or of all, where none does).

    Raises:
        DataError: the image is gone.
    """
    index = np.searchsorted(mask_numbers(found.labels), found.mask).astype(np.int64)
    if found.mask.ndim == 2:
        pixels = read_image(Path(found.path)).transpose(2, 0, 1)
        picture = _picture(pixels, index, (1.0, 1.0), (SMALLEST, LARGEST))
    else:
        picture = _montage(found, index)
    return with_legend(picture, found.labels, np.unique(index[index > 0]))


def _montage(found: MaskPrediction, index: Int[ndarray, "i j k"]) -> Image.Image:
    volume = read_volume(found.path)
    values = VolumePreprocessing().fit(volume)
    mask = volume.grid.turn(index)
    marked = np.flatnonzero((mask > 0).any((1, 2)))
    first, last = (marked[0], marked[-1]) if len(marked) else (0, len(mask) - 1)
    slices = np.unique(np.linspace(first, last, TILES**2).round().astype(int)).tolist()
    side = LARGEST // TILES
    tiles = [
        _picture(values[z][None], mask[z], volume.spacing[1:], (side // 2, side)) for z in slices
    ]
    width, height = tiles[0].size
    rows = -(-len(tiles) // TILES)
    whole = Image.new("RGB", (width * min(TILES, len(tiles)), height * rows))
    for i, tile in enumerate(tiles):
        whole.paste(tile, (width * (i % TILES), height * (i // TILES)))
    return whole


def _picture(
    pixels: UInt8[ndarray, "c h w"],
    mask: Integer[ndarray, "h w"],
    spacing: Sequence[float],
    sides: tuple[int, int],
) -> Image.Image:
    """Pixels and mask at the shape that they have in space, with a long side within `sides`."""
    height, width = (n * mm / min(spacing) for n, mm in zip(mask.shape, spacing, strict=True))
    long = max(height, width)
    scale = max(sides[0] / long, 1.0) if long < sides[0] else min(sides[1] / long, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    plain = np.ascontiguousarray(np.broadcast_to(pixels, (3, *mask.shape)).transpose(1, 2, 0))
    smooth, near = Image.Resampling.BILINEAR, Image.Resampling.NEAREST
    shown = np.asarray(Image.fromarray(plain).resize(size, smooth)).transpose(2, 0, 1)
    marks = np.asarray(Image.fromarray(mask.astype(np.int32)).resize(size, near)).astype(np.int64)
    return Image.fromarray(np.ascontiguousarray(overlaid(shown, marks).transpose(1, 2, 0)))


def with_legend(
    picture: Image.Image, labels: Sequence[str], there: Integer[ndarray, "k"]
) -> Image.Image:
    """The picture with a line below for each class that it shows: its color and name."""
    lines = max(1, len(there))
    whole = Image.new("RGB", (picture.width, picture.height + LINE * lines))
    whole.paste(picture)
    pen = ImageDraw.Draw(whole)
    paint = colours(len(labels))
    for line, c in enumerate(there.tolist()):
        top, name = picture.height + LINE * line, str(labels[int(c)])
        pen.rectangle((3, top + 3, 13, top + 13), tuple(paint[c].tolist()))
        pen.text((18, top + 2), name.encode("latin-1", "replace").decode("latin-1"))
    if not len(there):
        pen.text((3, picture.height + 2), "nothing is marked")
    return whole
