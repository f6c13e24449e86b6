"""A folder of pairs: pictures with noise and the same without."""

from pathlib import Path

import numpy as np
from PIL import Image


def pairs(at: Path, n: int, *, size: tuple[int, int] = (40, 34), factor: int = 1) -> Path:
    """`n` grey pictures of stripes with noise, two a patient; targets `factor` times as fine."""
    rng = np.random.default_rng(0)
    (at / "clean").mkdir(parents=True)
    rows = ["path,target,patient"]
    for i in range(n):
        y, x = np.mgrid[: size[0] * factor, : size[1] * factor] / factor
        clean = 128 + 80 * np.sin(y / 3 + x / (4 + i) + i)
        noisy = clean[::factor, ::factor] + 25 * rng.normal(size=size)
        save(at / f"{i}.png", noisy)
        save(at / "clean" / f"{i}.png", clean)
        rows.append(f"{i}.png,clean/{i}.png,p{i // 2}")
    (at / "labels.csv").write_text("\n".join(rows) + "\n")
    return at


def save(path: Path, values: np.ndarray) -> None:
    """`values`, 0 to 255, as an 8-bit file."""
    Image.fromarray(np.asarray(values).clip(0, 255).round().astype(np.uint8)).save(path)
