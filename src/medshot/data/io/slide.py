"""Tiles of whole-slide images at a given pixel size, by openslide.

A slide is never loaded as a whole: a tile is read on access, from the level of the pyramid that is
just finer than requested.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import openslide
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from medshot.core import ConfigError, DataError
from medshot.data.checks.issue import refusal

FINER = 0.99  # smallest ratio of requested to scanned pixel size: below, it would upsample
COLOURED = 20  # difference of channels, of 255, of a stained pixel; glass is gray
STAINED = 0.05  # fraction of stained pixels from which a tile has tissue
LOOK = 16  # side in pixels of the thumbnail for tissue detection
WIDEST = 4096  # side in pixels that is read for one tile at most
SIZE_OF_A_PIXEL = ("openslide.mpp-x", "openslide.mpp-y")


@dataclass(frozen=True, eq=False)
class Tile:
    """One square of a slide."""

    pixels: UInt8[ndarray, "s s 3"]
    left: int  # of its corner, in pixels of level 0
    top: int


class Slide(Sequence[Tile]):
    """The tiles of a slide, row by row, each `size` x `size` pixels of `mpp` µm.

    Tiles at the right and lower edge are padded with white.

    Args:
        path: any format that openslide knows: .svs, .ndpi, .mrxs, .scn, .bif, tiled .tif, ...
        mpp: µm along a pixel of a tile; 0.5 is "20x", 1.0 "10x".
        size: pixels along a tile.
        scanned_at: µm along a pixel of the scan, only if the file lacks it.

    Raises:
        DataError: not a slide, damaged, without a pixel size, or scanned at a coarser one.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mpp: float = 0.5,
        size: int = 256,
        scanned_at: float | None = None,
    ) -> None:
        if size < 1 or not mpp > 0:
            raise ConfigError(f"size={size} and mpp={mpp} must be above 0.")
        self.path, self.size = Path(path), size
        self._file = _opened(self.path)
        scan = _size_of_a_pixel(self._file, self.path, scanned_at)
        if mpp < FINER * max(scan):
            what = f"it was scanned at {max(scan):.3g} µm a pixel, more coarsely than {mpp:g}"
            raise refusal(self.path, what, f"Ask for mpp={max(scan):.3g} or more.").error()
        self._step = tuple(size * mpp / one for one in scan)  # pixels of the scan along a tile
        width, height = self._file.dimensions
        self.columns, self.rows = ceil(width / self._step[0]), ceil(height / self._step[1])

    def __len__(self) -> int:
        return self.rows * self.columns

    def __getitem__(self, index: int) -> Tile:  # type: ignore[override]
        """The tile at `index`; slicing is not supported, as its memory would not be constant."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row, column = divmod(index % len(self), self.columns)
        left, top = int(column * self._step[0]), int(row * self._step[1])
        return Tile(self._read(left, top, self.size), left, top)

    def tissue(self) -> Iterator[Tile]:
        """The tiles with tissue: at least one pixel in twenty is stained."""
        for index in range(len(self)):
            row, column = divmod(index, self.columns)
            left, top = int(column * self._step[0]), int(row * self._step[1])
            seen = self._read(left, top, min(LOOK, self.size)).astype(np.int16)
            if (np.ptp(seen, axis=2) >= COLOURED).mean() >= STAINED:
                yield self[index]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, left: int, top: int, size: int) -> UInt8[ndarray, "s s 3"]:
        level = self._file.get_best_level_for_downsample(min(self._step) / size)
        finer = self._file.level_downsamples[level]
        width, height = (max(1, round(step / finer)) for step in self._step)
        if max(width, height) > WIDEST:
            what = f"it has no level coarse enough: a tile needs {width} x {height} pixels of it"
            raise refusal(self.path, what, "Ask for smaller tiles or a smaller mpp.").error()
        try:
            region = self._file.read_region((left, top), level, (width, height))
        except openslide.OpenSlideError as error:
            raise _damaged(self.path, error) from error
        white = Image.new("RGB", region.size, "white")
        white.paste(region, mask=region.getchannel("A"))
        return np.asarray(white.resize((size, size), Image.Resampling.BOX))


def _opened(path: Path) -> openslide.OpenSlide:
    if not path.is_file():
        raise refusal(path, "it does not exist", "Correct the path.").error()
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError as error:
        what = "it is no slide that openslide knows"
        fix = "A plain picture is read as an image; convert others to tiled TIFF (vips)."
        raise refusal(path, what, fix).error() from error
    except openslide.OpenSlideError as error:
        raise _damaged(path, error) from error


def _size_of_a_pixel(
    file: openslide.OpenSlide, path: Path, given: float | None
) -> tuple[float, float]:
    said = [float(file.properties.get(name) or 0) for name in SIZE_OF_A_PIXEL]
    if min(said) > 0:
        return said[0], said[1]
    if given:
        return given, given
    what = "it does not say how large a pixel is"
    raise refusal(path, what, "If you know: scanned_at=0.25 (µm; about 0.25 at 40x).").error()


def _damaged(path: Path, error: Exception) -> DataError:
    what = f"it is damaged or truncated ({error})"
    return refusal(path, what, "Copy it again from the scanner.").error()
