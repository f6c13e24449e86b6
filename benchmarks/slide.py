"""A slide of 10,000 tiles, tile by tile, against openslide's own DeepZoomGenerator.

The slide is made here: 25,600 x 25,600 pixels at 0.25 µm, a pyramid of three levels. Both sides
give the same 256 x 256 tiles of 0.5 µm a pixel as arrays. What matters beside speed is memory: the
peak of a process of its own (VmHWM of Linux: what is counted for a child by getrusage starts at its
parent's) that reads 100 tiles of the finest level, and of one that reads all 10,000.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openslide
import tifffile
from numpy import ndarray
from openslide.deepzoom import DeepZoomGenerator

from measure import Row, compare, options, report, row
from medshot.data.io.slide import Slide

TARGET = 0.8  # a door may cost a little; it must not cost a lot
SIDE, TILE, SCAN, LEVELS = 25_600, 256, 0.25, 3
FEW, ALL = 100, 10_000
READING = """
import sys
from pathlib import Path
from medshot.data.io.slide import Slide
for _, tile in zip(range(int(sys.argv[2])), Slide(sys.argv[1], mpp=0.25, size=256)):
    tile.pixels.mean()
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def main() -> None:
    found = options(__doc__, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.tif"
        _write(path, SIDE // 10 if found.quick else SIDE)
        report([_compare(path, found.rounds)], found)


def _compare(path: Path, rounds: int) -> Row:
    slide, peer = Slide(path, mpp=2 * SCAN, size=TILE), _peer(path)
    level, columns = peer.level_count - 2, slide.columns
    places = [divmod(i * 37 % len(slide), columns) for i in range(FEW)]
    sides = {
        "ours": lambda: [slide[r * columns + c].pixels for r, c in places],
        "peer": lambda: [np.asarray(peer.get_tile(level, (c, r))) for r, c in places],
    }
    pairs = zip(sides["ours"](), sides["peer"](), strict=True)
    same = all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    seconds = compare(sides, rounds)
    few, everything = (_measured(path, count) for count in (FEW, ALL))
    agreement = f"same pixels: {same}; peak {few:.0f} MiB at {FEW} tiles, {everything:.0f} at {ALL}"
    return row(
        "slide, tile by tile", *seconds.values(), per=FEW, target=TARGET, agreement=agreement
    )


def _peer(path: Path) -> DeepZoomGenerator:
    return DeepZoomGenerator(openslide.OpenSlide(path), tile_size=TILE, overlap=0)


def _measured(path: Path, count: int) -> float:
    """The peak memory of another process that reads so many tiles, MiB."""
    command = [sys.executable, "-c", READING, str(path), str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _write(path: Path, side: int) -> None:
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level in range(LEVELS):
            size, per_cm = side // 2**level, 1e4 / SCAN / 2**level
            file.write(
                _tiles(size, 2**level),
                shape=(size, size, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="rgb",
                compression="zlib",
                subfiletype=int(level > 0),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                metadata=None,
            )


def _tiles(size: int, step: int) -> Iterator[ndarray]:
    """A ramp that differs from tile to tile, in blocks of four pixels of the finest level."""
    for top in range(0, size, TILE):
        for left in range(0, size, TILE):
            y, x = np.mgrid[top : top + TILE, left : left + TILE] * step // 4
            yield np.stack([y, x, x + y], 2).astype(np.uint8)


if __name__ == "__main__":
    main()
