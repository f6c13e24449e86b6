"""Small pictures, masks and annotation files as other tools write them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 50, 40
SPOT = (8, 5, 25, 20)  # xmin, ymin, xmax, ymax of what is marked


def spot_picture(path: Path, seed: int = 0) -> Path:
    """A noisy picture, bright in `SPOT`."""
    pixels = np.random.default_rng(seed).integers(0, 90, (HEIGHT, WIDTH))
    xmin, ymin, xmax, ymax = SPOT
    pixels[ymin:ymax, xmin:xmax] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def spot_mask(path: Path, value: Any = 255, spot: Sequence[int] = SPOT) -> Path:
    """A mask of `SPOT` in a gray, or in a color."""
    shape = (HEIGHT, WIDTH) if isinstance(value, int) else (HEIGHT, WIDTH, 3)
    pixels = np.zeros(shape, np.uint8)
    xmin, ymin, xmax, ymax = spot
    pixels[ymin:ymax, xmin:xmax] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def spot_truth(number: int = 1) -> np.ndarray:
    """The mask that should come out."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    xmin, ymin, xmax, ymax = SPOT
    mask[ymin:ymax, xmin:xmax] = number
    return mask


def write_json(path: Path, said: Any) -> Path:
    """Write `said`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(said))
    return path


def coco_file(names: Sequence[str], **changed: Any) -> dict[str, Any]:
    """COCO of the pictures `names`, a box of `SPOT` on each; `changed` goes into annotations."""
    xmin, ymin, xmax, ymax = SPOT
    box = [xmin, ymin, xmax - xmin, ymax - ymin]
    return {
        "info": {"description": "toy"},
        "images": [
            {"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for i, name in enumerate(names)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 7, "bbox": box, "iscrowd": 0, **changed}
            for i in range(len(names))
        ],
        "categories": [{"id": 7, "name": "cell", "supercategory": "none"}],
    }
