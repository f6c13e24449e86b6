"""A picture of the phantoms: for each family, images of several tasks, and what is marked on them.

    python experiments/phantom_sheet.py [--to docs] [--seed 4]

Writes <to>/results/phantoms.png: a row a family, two tasks side by side, of each three images with
the outlines of their masks under them; and <to>/results/phantom_volumes.png, the
slice of each volume on which most is marked.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from medshot.data.draw import outlined
from medshot.phantoms import FAMILIES, SceneTask, VolumeTask
from results import arguments

ROOT = Path(__file__).parents[1]
SIZE, GAP, MARGIN, HEAD = 88, 2, 8, 14
COLORS = 200  # of the palette in the file


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    rows = [
        np.concatenate(
            [_named(SceneTask(options.seed + 10 * i + j, SIZE, family=name)) for j in (0, 1)], 1
        )
        for i, name in enumerate(FAMILIES)
    ]
    _save(np.concatenate(rows), options.to / "results" / "phantoms.png")
    volumes = [VolumeTask(options.seed, SIZE // 2, family=name) for name in ("organs", "cells")]
    _save(
        np.concatenate([_named(v) for v in volumes], 1), options.to / "results/phantom_volumes.png"
    )


def _named(task: SceneTask | VolumeTask) -> np.ndarray:
    """Three images over their outlines, under a line that says what they are."""
    x, y, _ = task.images(3)
    if x.ndim == 5:  # the slice on which most is marked
        best = (y > 0).sum((2, 3)).argmax(1)
        x, y = (
            np.stack([a[..., z, :, :] for a, z in zip(part, best, strict=True)]) for part in (x, y)
        )
    pairs = [
        (np.broadcast_to(a, (3, *a.shape[1:])), outlined(a, m)) for a, m in zip(x, y, strict=True)
    ]
    columns = [np.concatenate([_framed(top), _framed(low)], 1) for top, low in pairs]
    body = np.concatenate(columns, 2).transpose(1, 2, 0)
    head = Image.new("RGB", (body.shape[1], HEAD), "white")
    said = f"{task.plan.name} ({task.plan.style}): {'; '.join(task.labels[1:])}"
    ImageDraw.Draw(head).text((2, 1), said, fill="black")
    whole = np.concatenate([np.asarray(head), body])
    return np.pad(whole, ((0, MARGIN), (0, MARGIN), (0, 0)), constant_values=255)


def _framed(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((0, 0), (0, GAP), (0, GAP)), constant_values=255)


def _save(sheet: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    few = Image.fromarray(sheet).quantize(COLORS, dither=Image.Dither.NONE)
    few.save(file, optimize=True)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
