"""A small pyramid: glass with one stained square, each pixel of which tells where it is."""

from pathlib import Path

import numpy as np
import tifffile
from numpy import ndarray

SCAN = 0.25  # µm a pixel


def scene(height: int = 900, width: int = 1100) -> ndarray:
    """Grey glass; rows 200 to 599 and columns 300 to 899 are stained, in blocks of 4 pixels."""
    y, x = np.mgrid[:height, :width] // 4
    tissue = np.stack([200 - y % 100, 40 + x % 64, 100 + (x + y) % 64], 2).astype(np.uint8)
    found = np.full((height, width, 3), 240, np.uint8)
    found[200:600, 300:900] = tissue[200:600, 300:900]
    return found


def write_slide(path: Path, values: ndarray, levels: int = 3, mpp: float | None = SCAN) -> Path:
    """By tifffile: a tiled pyramid, each level half of the one before."""
    per_cm = 1e4 / mpp if mpp else None
    with tifffile.TiffWriter(path) as file:
        for level in range(levels):
            file.write(
                values[:: 2**level, :: 2**level],
                tile=(256, 256),
                photometric="rgb",
                compression="zlib",
                subfiletype=int(level > 0),
                resolution=(per_cm, per_cm) if per_cm else None,
                resolutionunit="CENTIMETER" if per_cm else "NONE",
                metadata=None,
            )
    return path
