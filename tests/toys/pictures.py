"""Gray pictures with one spot, and PNG of 16 bits, which Pillow does not write in color."""

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy import ndarray


def spot(seed: int, *, bright: bool = True, shape: tuple[int, int] = (48, 48)) -> tuple:
    """A noisy gray picture, 8-bit, and where its spot is; a dim spot if not `bright`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    side = min(shape)
    top, left, radius = (*rng.uniform(0.2, 0.45, 2) * side, 0.14 * side)
    inside = (y - top) ** 2 + (x - left) ** 2 < radius**2
    values = rng.normal(60, 8, shape) + (110 if bright else 30) * inside
    return values.clip(0, 255).astype(np.uint8), inside.astype(np.uint8)


def write_png16(path: Path, values: ndarray, color: int) -> Path:
    """Write 16-bit values; `color` as in the header: 0 gray, 2 RGB, 4 gray and alpha, 6 RGBA."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    rows = b""
    above = np.zeros(values[0].nbytes, np.uint8)
    for n, line in enumerate(values.astype(">u2")):  # no filter and `up`, by turns
        row = np.frombuffer(line.tobytes(), np.uint8)
        rows += b"\2" + (row - above).tobytes() if n % 2 else b"\0" + row.tobytes()
        above = row
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, color, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path
