"""boxes.csv: bounding boxes in pixels, validated and converted to fractions of the image."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import DataError
from medshot.data.checks.issue import Issue, finding_of, refusal, together
from medshot.data.tables.cells import clean, with_points
from medshot.data.tables.delimited import Line, read_delimited
from medshot.data.tables.labels import refuse_missing, shifted
from medshot.data.tables.paths import FileCells

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
    """Boxes by image, and the problems of invalid lines: one for each cause.

    A line with a path and nothing else declares an image without boxes.
    """
    try:
        read = read_delimited(table)
    except DataError as error:
        return {}, [finding_of(error, table)]
    if absent := [name for name in COLUMNS if name not in read.columns]:
        what = (
            f"it has no column {' or '.join(absent)} (it has: {', '.join(read.columns) or 'none'})"
        )
        wrong = refusal(table, what, f"Its first line should be: {','.join(COLUMNS)}")
        return {}, [*read.issues, wrong]
    found: dict[Path, list[Box]] = defaultdict(list)
    findings: list[Issue] = []
    files = FileCells(table)
    corners = with_points([line.cells[side] for line in read.lines for side in SIDES])
    for i, line in enumerate(read.lines):
        try:
            box = _box(line, corners[4 * i : 4 * i + 4], files)
        except DataError as error:
            findings.append(finding_of(error, table))
            continue
        if isinstance(box, Path):
            found[box] += []
        else:
            found[box.path].append(box)
    findings = [*read.issues, *together(findings), *_twice(found, table), *files.issues()]
    return dict(found), findings


def _box(line: Line, corners: Sequence[str], files: FileCells) -> Box | Path:
    """The box of a line, or the image of a line without one."""
    table, number = files.table, line.number
    for wrong in shifted([line], table):
        raise wrong.error()
    refuse_missing({"path": line.cells["path"].strip()}, table, number)
    path, label = files.find(line.cells["path"], number), clean(line.cells["label"])
    empty = [name for name, cell in zip(COLUMNS[1:], (*corners, label), strict=True) if not cell]
    if len(empty) == len(COLUMNS) - 1:
        return path
    if empty:
        fix = "Fill it in, or leave all but the path empty for an image without objects."
        raise refusal(table, f"{' and '.join(empty)} is empty", fix, number).error()
    refuse_missing({"label": label}, table, number)
    try:
        xmin, ymin, xmax, ymax = sides = tuple(map(float, corners))
    except ValueError as error:
        what = f"a corner is not a number ({error})"
        raise refusal(table, what, IN_PIXELS, number, cause="no number").error() from error
    if what := _wrong(sides):
        raise refusal(table, what, IN_PIXELS, number, cause=what.partition(":")[0]).error()
    return Box(path, (xmin, ymin, xmax, ymax), label, number)


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
                findings.append(refusal(table, what, "Keep one of them.", box.line, cause="twice"))
    return together(findings)


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
