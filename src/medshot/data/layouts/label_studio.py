"""Label Studio: JSON and JSON-MIN exports with boxes, polygons, brushes or choices.

Source: https://labelstud.io/guide/export and /guide/task_format: coordinates are in percent of the
image. A brush is packed by the run-length code of @thi.ng/rle-pack, 4 channels a pixel.
"""

import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import Issue
from medshot.data.io.image import upright_size
from medshot.data.layouts.content import (
    Content,
    Listing,
    bad,
    counted,
    number,
    numbers,
    text_of,
)
from medshot.data.layouts.regions import (
    Annotated,
    Region,
    outline_of,
    unmarked,
    unread_shapes,
    with_regions,
)

KINDS = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels")
AGAIN = "Export it again, as JSON."
LARGEST = 2**28  # values of a brush


def label_studio(listing: Listing) -> Content | None:
    """Content of a folder with an export of Label Studio and its images."""
    files = [(f, said) for f in listing.with_suffix(".json") if _is_export(said := listing.json(f))]
    if not files:
        return None
    images: list[Annotated] = []
    skipped: list[str] = []
    left: Counter[str] = Counter()
    several = 0
    for path, tasks in files:
        for n, task in enumerate(tasks, 1):
            where = f"task {task.get('id', n)}"
            results = _results(task)
            if results is None:
                skipped.append(where)
                continue
            several += len(_finished(task)) > 1
            name = _image_in(task.get("data", task), results, path, where)
            images.append(_annotated(_found(name, path, listing), results, path, where, left))
    path = files[0][0]
    issues: list[Issue] = unread_shapes(left, path)
    known = {image.path for image in images}
    issues += unmarked(
        [f for f in listing.images if f not in known],
        listing.folder,
        "without a finished annotation, left out",
    )
    more = f"; {counted(several, 'task')} with several annotations: the first" if several else ""
    boxes = any(r.box for image in images for r in image.regions)
    return with_regions("Label Studio", path, images, boxes_first=boxes, issues=issues, more=more)


def _is_export(said: Any) -> bool:
    if not isinstance(said, list) or not said or not all(isinstance(t, dict) for t in said):
        return False
    full = all(isinstance(t.get("data"), dict) for t in said)
    return (full and any("annotations" in t for t in said)) or (
        "annotation_id" in said[0] and "id" in said[0]
    )


def _finished(task: dict[str, Any]) -> list[dict[str, Any]]:
    given = task.get("annotations")
    return [
        each
        for each in (given if isinstance(given, list) else ())
        if isinstance(each, dict) and not each.get("was_cancelled")
    ]


def _results(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Regions and choices of the first finished annotation; None if there is none."""
    if "data" in task:
        finished = _finished(task)
        found = finished[0].get("result") if finished else None
        return [r for r in found if isinstance(r, dict)] if isinstance(found, list) else None
    results: list[dict[str, Any]] = []
    for value in task.values():  # JSON-MIN: a field for each control of the form
        for each in value if isinstance(value, list) else ():
            kind = next((k for k in KINDS if isinstance(each, dict) and k in each), None)
            results += [{"type": kind, "value": each, **each}] if kind else []
    if not results and isinstance(task.get("choice"), str):
        results = [{"type": "choices", "value": {"choices": [task["choice"]]}}]
    return results


def _image_in(data: dict[str, Any], results: list[dict[str, Any]], path: Path, where: str) -> str:
    named = next((data[r["to_name"]] for r in results if r.get("to_name") in data), None)
    for key in ("image", "img", "url", "image_url"):
        named = named or data.get(key)
    texts = [v for v in data.values() if isinstance(v, str) and "." in v.rpartition("/")[2]]
    named = named or next(iter(texts), None)
    if not isinstance(named, str):
        raise bad(path, f"{where} names no image", AGAIN)
    return named


def _found(name: str, path: Path, listing: Listing) -> Path:
    """The image; an uploaded one may have lost, or kept, the code before its name."""
    try:
        return listing.find(name, path)
    except DataError:
        last = name.rpartition("/")[2]
        bare = last.partition("-")[2]
        same = [f for f in listing.images if f.name == bare or f.name.endswith(f"-{last}")]
        if len(same) != 1 or ".." in name:
            raise
        return same[0]


def _annotated(
    image: Path, results: list[dict[str, Any]], path: Path, where: str, left: Counter[str]
) -> Annotated:
    regions, label = [], ""
    said = None
    for n, each in enumerate(results, 1):
        kind, value = str(each.get("type", "")).lower(), each.get("value")
        at = f"{where}, result {n}"
        if not isinstance(value, dict):
            raise bad(path, f"{at} has no value", AGAIN)
        if kind == "choices":
            chosen = value.get("choices")
            if not isinstance(chosen, list) or len(chosen) != 1 or label:
                what = f"{at} has several choices for one image"
                raise bad(path, what, "For findings that come together write labels.csv.")
            label = text_of(chosen[0], path, at)
        elif kind in KINDS:
            sides = [each.get(f"original_{side}") for side in ("width", "height")]
            if said is None and all(sides):
                width, height = (int(number(side, path, at)) for side in sides)
                said = (width, height)
            size = said or upright_size(image)
            regions.append(_region(kind, value, size, path, at))
        else:
            left[kind or "unknown"] += 1
    return Annotated(image, path, tuple(regions), label, said)


def _region(
    kind: str, value: dict[str, Any], size: tuple[int, int], path: Path, where: str
) -> Region:
    names = value.get(kind)
    if not isinstance(names, list) or len(names) != 1:
        raise bad(path, f"{where} has not one label but {str(names)[:40]}", AGAIN)
    label = text_of(names[0], path, where)
    if kind == "brushlabels":
        rle = value.get("rle")
        if not isinstance(rle, list):
            raise bad(path, f"{where}: a brush without rle", AGAIN)
        return Region(
            label, where, paint=partial(_brushed, path, where, bytes_of(rle, path, where))
        )
    across, down = size[0] / 100, size[1] / 100
    if kind == "polygonlabels":
        points = value.get("points")
        if not isinstance(points, list):
            raise bad(path, f"{where}: a polygon without points", AGAIN)
        pairs = [numbers(point, path, where, 2) for point in points]
        flat = [side for x, y in pairs for side in (x * across, y * down)]
        return Region(label, where, outlines=(outline_of(flat, path, where),))
    wanted = (
        ("x", "y", "radiusX", "radiusY")
        if kind == "ellipselabels"
        else ("x", "y", "width", "height")
    )
    x, y, w, h = (number(value.get(name), path, where) for name in wanted)
    x, y, w, h = x * across, y * down, w * across, h * down
    turn = math.radians(number(value.get("rotation") or 0, path, where))
    cos, sin = math.cos(turn), math.sin(turn)
    if kind == "ellipselabels":
        angles = [2 * math.pi * k / 64 for k in range(64)]
        corners = [(w * math.cos(a), h * math.sin(a)) for a in angles]
    elif not turn:
        return Region(label, where, (x, y, x + w, y + h))
    else:  # turned about its top left corner
        corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)]
    outline = tuple((x + u * cos - v * sin, y + u * sin + v * cos) for u, v in corners)
    return Region(label, where, outlines=(outline,))


def bytes_of(values: list[Any], path: Path, where: str) -> bytes:
    """Bytes in a list of numbers. Raises `DataError` where they are none."""
    try:
        return bytes(values)
    except (TypeError, ValueError) as error:
        raise bad(path, f"{where}: its rle is not bytes ({error})", AGAIN) from error


def _brushed(path: Path, where: str, packed: bytes, shape: tuple[int, int]) -> Bool[ndarray, "h w"]:
    """Painted pixels of a brush: those that are not transparent."""
    try:
        values = unpack(packed, 4 * shape[0] * shape[1])
    except (ValueError, IndexError) as error:
        what = f"{where}: its brush does not fit the image ({error})"
        raise bad(path, what, AGAIN) from error
    return values.reshape(*shape, 4)[:, :, 3] > 0


def unpack(packed: bytes, n: int) -> ndarray:
    """Values of rle-pack.

    A header of 32 bits (their number), 5 (bits of a value, less 1) and 4 times 4 (bits of the
    four sizes of runs, less 1); then runs: 1 bit (whether one value is repeated), 2 (which size),
    the length less 1, and the value, or as many values.

    Raises:
        ValueError: it is for another number of values than `n`, or ends early.
    """
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    at = 0

    def read_all(width: int, count: int) -> ndarray:
        nonlocal at
        if at + width * count > len(bits):
            raise ValueError("it ends early")
        words = bits[at : at + width * count].reshape(count, width)
        at += width * count
        return words @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64))

    def read(width: int) -> int:
        return int(read_all(width, 1)[0])

    total = read(32)
    if total != n or n > LARGEST:
        raise ValueError(f"it holds {total} values, not {n}")
    word = read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    found = np.zeros(n, np.uint8)
    i = 0
    while i < n:
        repeated = read(1)
        end = min(i + 1 + read(sizes[read(2)]), n)
        found[i:end] = read_all(word, 1 if repeated else end - i) & 255
        i = end
    return found
