"""Predicted masks as LabelMe files, to be corrected there and learned from again.

Source of the format: https://github.com/wkentaro/labelme, `labelme/_label_file.py`.
"""

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image

from medshot.core import MaskPrediction, mask_numbers
from medshot.core.atomic import write_text
from medshot.data.io.image import orientation_mark, read_image
from medshot.data.layouts.labelme import PREDICTED

SHOWN = (".png", ".jpg", ".jpeg")  # formats that LabelMe opens wherever it runs
TOLERANCE = 0.75  # pixels that a simplified outline may be off
SMALLEST = 4  # pixels of an object that is worth an outline
MOST_POINTS = 400  # of an outline that a hand can correct


def write_labelme(found: MaskPrediction, folder: Path, stem: str) -> Path:
    """Write the objects of a predicted mask, and a copy of its image, to `folder`.

    An object without holes is a polygon, simplified; any other is a mask of LabelMe (5.2 or later).
    The file says that it is a prediction until LabelMe saves it: those that are not saved there are
    not learned from.

    Raises:
        DataError: the image is gone.
    """
    path = Path(found.path)
    image = folder / f"{stem}{path.suffix.lower() if path.suffix.lower() in SHOWN else '.png'}"
    if path.suffix.lower() in SHOWN and orientation_mark(path) == 1:
        shutil.copyfile(path, image)
    else:
        pixels = read_image(path)
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(image)
    numbers = dict(zip(mask_numbers(found.labels), found.labels, strict=True))
    height, width = found.mask.shape
    about: dict[str, Any] = {
        "version": PREDICTED,
        "flags": {},
        "shapes": [
            {"label": label, "group_id": None, "description": "", "flags": {}, **shape}
            for number, label in numbers.items()
            if number
            for shape in _shapes(found.mask == number)
        ],
        "imagePath": image.name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    file = folder / f"{stem}.json"
    write_text(file, json.dumps(about, indent=1) + "\n")
    return file


def _shapes(marked: Bool[ndarray, "h w"]) -> Iterator[dict[str, Any]]:
    """Polygons, or masks, of the connected parts of an area."""
    from scipy.ndimage import binary_fill_holes, find_objects, label  # noqa: PLC0415  (slow)

    found: tuple[ndarray, int] = label(marked)  # type: ignore[assignment]
    parts = found[0]
    for c, (rows, columns) in enumerate(find_objects(parts), 1):
        part = parts[rows, columns] == c
        if part.sum() < SMALLEST:
            continue
        outline = None if (binary_fill_holes(part) & ~part).any() else _outline(part)
        if outline is None or len(outline) > MOST_POINTS:
            yield _mask(part, rows.start, columns.start)
        else:
            points = outline + np.array([columns.start, rows.start])
            yield {"shape_type": "polygon", "points": points.round(2).tolist()}


def _mask(part: Bool[ndarray, "h w"], top: int, left: int) -> dict[str, Any]:
    packed = io.BytesIO()
    Image.fromarray(part).save(packed, "PNG")
    height, width = part.shape
    return {
        "shape_type": "mask",
        "points": [[left, top], [left + width - 1, top + height - 1]],
        "mask": base64.b64encode(packed.getvalue()).decode("ascii"),
    }


def _outline(part: Bool[ndarray, "h w"]) -> ndarray:
    """The outline of one part without holes as corners x, y in pixels from the top left."""
    wide = np.pad(part, 1)
    # an edge starts at a corner and has the part on its right
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y, x in zip(*np.nonzero(part), strict=True):
        row, column = int(y), int(x)
        for beside, start, end in (
            ((row, column + 1), (column, row), (column + 1, row)),
            ((row + 1, column + 2), (column + 1, row), (column + 1, row + 1)),
            ((row + 2, column + 1), (column + 1, row + 1), (column, row + 1)),
            ((row + 1, column), (column, row + 1), (column, row)),
        ):
            if not wide[beside]:
                after.setdefault(start, []).append(end)
    here = first = min(after)
    walked = [first]
    came = (0, -1)
    while True:
        ends = after[here]
        # where two parts touch at a corner, turn so as to stay on the same one
        right = (-came[1], came[0])
        end = min(ends, key=lambda e: (e[0] - here[0], e[1] - here[1]) != right)
        ends.remove(end)
        came, here = (end[0] - here[0], end[1] - here[1]), end
        if here == first and not after[here]:
            break
        walked.append(here)
    return _simplified(np.array(walked, float))


def _simplified(points: ndarray) -> ndarray:
    """Douglas & Peucker 1973, Cartographica 10, 112-122: at most `TOLERANCE` off."""
    far = int(((points - points[0]) ** 2).sum(1).argmax())
    keep = np.zeros(len(points), bool)
    keep[[0, far]] = True
    closed = np.vstack([points, points[:1]])
    spans = [(0, far), (far, len(points))]
    while spans:
        a, b = spans.pop()
        if b - a < 2:
            continue
        base, inner = closed[b] - closed[a], closed[a + 1 : b] - closed[a]
        length = float(np.hypot(*base))
        off = np.abs(base[0] * inner[:, 1] - base[1] * inner[:, 0]) / max(length, 1e-9)
        off = off if length else np.hypot(*inner.T)
        worst = int(off.argmax())
        if off[worst] > TOLERANCE:
            middle = a + 1 + worst
            keep[middle] = True
            spans += [(a, middle), (middle, b)]
    return points[keep] if keep.sum() > 2 else points
