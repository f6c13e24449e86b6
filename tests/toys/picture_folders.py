"""Folders of small gray pictures with a spot, and a table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def spot(rng: np.random.Generator, height: int, side: int = 32) -> np.ndarray:
    """A gray picture of noise with a round spot of this height."""
    y, x = np.mgrid[:side, :side]
    cx, cy = rng.uniform(0.3 * side, 0.6 * side, 2)
    inside = (x - cx) ** 2 + (y - cy) ** 2 < (0.15 * side) ** 2
    return (rng.normal(60, 8, (side, side)) + height * inside).clip(0, 255).astype(np.uint8)


def pictures(folder: Path, names: Sequence[str], seed: int = 0) -> Path:
    """Save pictures under `names`, every second one with a bright spot."""
    rng = np.random.default_rng(seed)
    for i, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(spot(rng, 110 if i % 2 else 30)).save(path)
    return folder


def listed(folder: Path, lines: Sequence[str], columns: str = "path,label,patient") -> Path:
    """A labels.csv of these lines in `folder`."""
    text = "\n".join((columns, *lines)) + "\n"
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder
