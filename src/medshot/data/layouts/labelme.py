"""LabelMe: a JSON file beside each image, with polygons, rectangles, circles, masks or points.

Source: https://github.com/wkentaro/labelme, `labelme/_label_file.py`: `shapes` with `label`,
`points` in pixels and `shape_type`; a mask is a PNG in base64 at the box of its two points.
"""

import base64
import io
import math
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray
from PIL import Image

from medshot.core import DataError
from medshot.data.checks.issue import Issue
from medshot.data.layouts.content import (
    Content,
    Listing,
    bad,
    counted,
    number,
    numbers,
    text_of,
)
from medshot.data.layouts.parts import part_of, training_part
from medshot.data.layouts.regions import (
    Annotated,
    Region,
    outline_of,
    unmarked,
    unread_shapes,
    with_regions,
)

AGAIN = "Save it again in LabelMe."
PREDICTED = "medshot prediction"  # in place of LabelMe's version, which it writes when it saves


def labelme(listing: Listing) -> Content | None:
    """Content of a folder with a LabelMe file for each image."""
    files = []
    as_predicted = []
    for path in listing.with_suffix(".json"):
        said = listing.json(path)
        if isinstance(said, dict) and isinstance(said.get("shapes"), list) and "imagePath" in said:
            if said.get("version") == PREDICTED:
                as_predicted.append(path)
            else:
                files.append((part_of(path, listing.folder), (path, said)))
    if not files and not as_predicted:
        return None
    if not files:
        what = f"all of its {len(as_predicted)} files are predictions, none was saved in LabelMe"
        raise bad(as_predicted[0].parent, what, "Correct one there, or save it if it is right.")
    chosen, part, issues = training_part(files, listing.folder)
    if as_predicted:
        what = f"{counted(len(as_predicted), 'prediction')} that nobody saved in LabelMe left out, "
        what += f"first {as_predicted[0].name}"
        fix = "Save those there that are right."
        issues.append(Issue("warning", as_predicted[0].parent, None, what, fix))
    left: Counter[str] = Counter()
    images = [_annotated(path, said, listing, part, left) for path, said in chosen]
    if any(not r.point for image in images for r in image.regions):  # points may be remarks
        left["point"] += sum(bool(r.point) for image in images for r in image.regions)
        images = [
            replace(image, regions=tuple(r for r in image.regions if not r.point))
            for image in images
        ]
    known = {image.path for image in images}
    homes = {path.parent for path in known}
    stems = {path.with_suffix("") for path in as_predicted}
    others = [
        f
        for f in listing.images
        if f not in known and f.parent in homes and f.with_suffix("") not in stems
    ]
    issues += unmarked(others, listing.folder, "without .json, left out")
    issues += unread_shapes(+left, listing.folder)
    boxes = any(r.box for image in images for r in image.regions)
    source = chosen[0][0].parent
    return with_regions("LabelMe", source, images, boxes_first=boxes, issues=issues)


def _annotated(
    path: Path, said: dict[str, Any], listing: Listing, part: str, left: Counter[str]
) -> Annotated:
    same = [f for f in listing.images if f.stem == path.stem and f.parent == path.parent]
    try:
        image = listing.find(said["imagePath"], path, path.parent.parent / "images")
    except DataError:
        if len(same) != 1 or ".." in str(said["imagePath"]):
            raise
        image = same[0]
    size = None
    if said.get("imageWidth") and said.get("imageHeight"):
        width, height = (number(said[f"image{s}"], path, s) for s in ("Width", "Height"))
        size = (int(width), int(height))
    regions = []
    for n, shape in enumerate(said["shapes"], 1):
        where = f"shape {n}"
        if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
            raise bad(path, f"{where} has no points", AGAIN)
        kind = shape.get("shape_type") or "polygon"
        points = [numbers(point, path, where, 2) for point in shape["points"]]
        if kind not in ("polygon", "rectangle", "circle", "mask", "point"):
            left[str(kind)] += 1
            continue
        regions.append(_region(str(kind), shape, points, path, where))
    return Annotated(image, path, tuple(regions), size=size, split=part)


def _region(
    kind: str, shape: dict[str, Any], points: list[list[float]], path: Path, where: str
) -> Region:
    label = text_of(shape.get("label"), path, where)
    if kind == "point":
        if len(points) != 1:
            raise bad(path, f"{where}: a point of {len(points)} points", AGAIN)
        return Region(label, where, point=(points[0][0], points[0][1]))
    if kind == "polygon":
        flat = [side for point in points for side in point]
        return Region(label, where, outlines=(outline_of(flat, path, where),))
    if kind == "point":
        if len(points) != 1:
            raise bad(path, f"{where}: a point of {len(points)} points", AGAIN)
        return Region(label, where, point=(points[0][0], points[0][1]))
    if len(points) != (4 if kind == "rectangle" and len(points) == 4 else 2):
        raise bad(path, f"{where}: a {kind} of {len(points)} points", AGAIN)
    if kind == "circle":
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        angles = [2 * math.pi * k / 64 for k in range(64)]
        outline = tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles)
        return Region(label, where, outlines=(outline,))
    xs, ys = zip(*points, strict=True)
    if kind == "rectangle":
        return Region(label, where, (min(xs), min(ys), max(xs), max(ys)))
    paint = partial(_painted, path, where, shape.get("mask"), (round(min(xs)), round(min(ys))))
    return Region(label, where, paint=paint)


def _painted(
    path: Path, where: str, given: Any, corner: tuple[int, int], shape: tuple[int, int]
) -> Bool[ndarray, "h w"]:
    try:
        raw = io.BytesIO(base64.b64decode(given, validate=True))
        with Image.open(raw, formats=("PNG",)) as image:
            inner = np.asarray(image.convert("L")) > 0
    except Exception as error:  # Pillow raises any exception on damaged bytes
        raise bad(path, f"{where}: its mask cannot be read ({error})", AGAIN) from error
    left, top = corner
    height, width = inner.shape
    if min(left, top) < 0 or left + width > shape[1] or top + height > shape[0]:
        raise bad(path, f"{where}: its mask reaches out of the image", AGAIN)
    whole = np.zeros(shape, bool)
    whole[top : top + height, left : left + width] = inner
    return whole
