"""boxes.csv: bounding boxes in pixels, validated and converted to fractions of the image."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.data.checks.issue import Issue, refusal
from medshot.data.tables.labels import AS_CSV, inside, outside, separated

BOXES = "boxes.csv"
SIDES = ("xmin", "ymin", "xmax", "ymax")
COLUMNS = ("path", *SIDES, "label")
IN_PIXELS = "Corners are pixels of the image from its top left, xmin < xmax and ymin < ymax."


@dataclass(frozen=True)
class Box:
    """One line: opposite corners in pixels of the image file, and the class."""

    path: Path
    corners: tuple[float, float, float, float]  # xmin, ymin, xmax, ymax
    label: str
    line: int


def read_boxes(table: Path) -> tuple[dict[Path, list[Box]], list[Issue]]:
    """Boxes by image, and the problems of invalid lines.

    A line with a path and nothing else declares an image without boxes.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        return {}, [refusal(table, f"it is not UTF-8 text ({error})", AS_CSV)]
    reader = csv.DictReader(io.StringIO(text, newline=""))
    found: dict[Path, list[Box]] = defaultdict(list)
    findings: list[Issue] = []
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        if wrong := _columns(reader.fieldnames, table):
            return {}, [wrong]
        for values in reader:
            box = _box(values, table, reader.line_num)
            if isinstance(box, Issue):
                findings.append(box)
            elif isinstance(box, Path):
                found[box] += []
            else:
                found[box.path].append(box)
    except csv.Error as error:
        findings.append(refusal(table, f"it is not a CSV file ({error})", AS_CSV, reader.line_num))
    return dict(found), findings + _twice(found, table)


def _columns(columns: list[str], table: Path) -> Issue | None:
    absent = [name for name in COLUMNS if name not in columns]
    if not absent:
        return None
    if found := separated(columns, table):
        return found
    return refusal(
        table,
        f"it has no column {' or '.join(absent)} (it has: {', '.join(columns) or 'none'})",
        f"Its first line should be: {','.join(COLUMNS)}",
    )


def _box(values: dict[str, str], table: Path, line: int) -> Box | Path | Issue:
    if wrong := _unusable(values, table, line):
        return wrong
    cells = {name: (values[name] or "").strip() for name in COLUMNS}
    path, rest = table.parent / cells["path"], COLUMNS[1:]
    empty = [column for column in rest if not cells[column]]
    if len(empty) == len(rest):
        return path
    if empty:
        fix = "Fill it in, or leave all but the path empty for an image without objects."
        return refusal(table, f"{' and '.join(empty)} is empty", fix, line)
    try:
        xmin, ymin, xmax, ymax = corners = tuple(float(cells[side]) for side in SIDES)
    except ValueError as error:
        return refusal(table, f"a corner is not a number ({error})", IN_PIXELS, line)
    wrong = _wrong(corners)
    box = Box(path, (xmin, ymin, xmax, ymax), cells["label"], line)
    return refusal(table, wrong, IN_PIXELS, line) if wrong else box


def _unusable(values: dict[str, str], table: Path, line: int) -> Issue | None:
    """Problem of a line that names no image of the folder, or has extra cells."""
    if any(values.get(None) or []):  # type: ignore[call-overload]
        fix = 'A number has a point, 3.5, and a comma in a cell needs quotes, "a, b.png".'
        return refusal(table, "it has more cells than columns", fix, line)
    name = (values["path"] or "").strip()
    if not name:
        return refusal(table, "path is empty", "Fill it in or remove the line.", line)
    if Path(name).is_absolute() or not inside(table.parent / name, table.parent):
        return outside(table, name, line)
    return None


def _wrong(corners: tuple[float, ...]) -> str:
    """Problem of the corners, or ""."""
    xmin, ymin, xmax, ymax = corners
    if not all(math.isfinite(corner) for corner in corners):
        return "a corner is not finite (NaN or infinity)"
    for low, high, axis in ((xmin, xmax, "x"), (ymin, ymax, "y")):
        if low >= high:
            size = "has no size" if low == high else "is reversed"
            return f"the box {size}: {axis}min is {low:g}, {axis}max {high:g}"
    return ""


def _twice(found: dict[Path, list[Box]], table: Path) -> list[Issue]:
    findings = []
    for boxes in found.values():
        first: dict[tuple[float, ...], Box] = {}
        for box in boxes:
            other = first.setdefault(box.corners, box)
            if other is not box:
                what = f"{box.path} has the same box in lines {other.line} and {box.line}"
                findings.append(refusal(table, what, "Keep one of them.", box.line))
    return findings


BEYOND = 1.0  # tolerance in pixels: some programs count from 1, or round


def shares(boxes: Sequence[Box], width: int, height: int, table: Path) -> Float[Tensor, "m 4"]:
    """Corners of `boxes`, lines of `table`, as fractions of the image's width and height.

    Raises:
        DataError: a box extends beyond the image or lies outside it.
    """
    for box in boxes:
        xmin, ymin, xmax, ymax = box.corners
        reaches = min(xmin, ymin) < -BEYOND or xmax > width + BEYOND or ymax > height + BEYOND
        if reaches or min(xmax, ymax) <= 0 or xmin >= width or ymin >= height:
            corners = ", ".join(f"{corner:g}" for corner in box.corners)
            what = (
                f"the box {corners} reaches out of {box.path.name}, which is {width} wide and "
                f"{height} high"
            )
            raise refusal(table, what, IN_PIXELS, box.line).error()
    pixels = torch.tensor([box.corners for box in boxes], dtype=torch.float64).view(-1, 4)
    return (pixels / torch.tensor([width, height, width, height])).clamp(0, 1).float()
