"""boxes.csv and points.csv: boxes or centers in pixels, as fractions of the image."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
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

BOXES, POINTS = "boxes.csv", "points.csv"
SIDES, CENTER = ("xmin", "ymin", "xmax", "ymax"), ("x", "y")
COLUMNS, POINT_COLUMNS = (("path", *numbers, "label") for numbers in (SIDES, CENTER))
IN_PIXELS = "Corners are pixels of the image from its top left, xmin < xmax and ymin < ymax."
IN_IMAGE = "x and y are pixels of the image from its top left."


@dataclass(frozen=True)
class Box:
    """One line: opposite corners in pixels of the image file, and the class.

    Of a point, both corners are the point.
    """

    path: Path
    corners: tuple[float, float, float, float]  # xmin, ymin, xmax, ymax
    label: str
    line: int


def read_boxes(
    table: Path, columns: Sequence[str] = COLUMNS
) -> tuple[dict[Path, list[Box]], list[Issue]]:
    """Boxes or points by image, and the problems of invalid lines: one for each cause.

    A line with a path and nothing else declares an image without boxes.
    """
    try:
        read = read_delimited(table)
    except DataError as error:
        return {}, [finding_of(error, table)]
    if absent := [name for name in columns if name not in read.columns]:
        what = (
            f"it has no column {' or '.join(absent)} (it has: {', '.join(read.columns) or 'none'})"
        )
        wrong = refusal(table, what, f"Its first line should be: {','.join(columns)}")
        return {}, [*read.issues, wrong]
    found: dict[Path, list[Box]] = defaultdict(list)
    findings: list[Issue] = []
    files = FileCells(table)
    sides = columns[1:-1]
    given = with_points([line.cells[side] for line in read.lines for side in sides])
    for i, line in enumerate(read.lines):
        own = dict(zip(sides, given[len(sides) * i : len(sides) * (i + 1)], strict=True))
        try:
            box = _box(line, own, files)
        except DataError as error:
            findings.append(finding_of(error, table))
            continue
        if isinstance(box, Path):
            found[box] += []
        else:
            found[box.path].append(box)
    findings = [*read.issues, *together(findings), *_twice(found, table), *files.issues()]
    return dict(found), findings


def _box(line: Line, given: Mapping[str, str], files: FileCells) -> Box | Path:
    """The box, or point, of a line, or the image of a line without one."""
    table, number = files.table, line.number
    for wrong in shifted([line], table):
        raise wrong.error()
    refuse_missing({"path": line.cells["path"].strip()}, table, number)
    path, label = files.find(line.cells["path"], number), clean(line.cells["label"])
    cells = {**given, "label": label}
    empty = [name for name, cell in cells.items() if not cell]
    if len(empty) == len(cells):
        return path
    if empty:
        fix = "Fill it in, or leave all but the path empty for an image without objects."
        raise refusal(table, f"{' and '.join(empty)} is empty", fix, number).error()
    refuse_missing({"label": label}, table, number)
    of, fix = ("a corner", IN_PIXELS) if len(given) == len(SIDES) else ("x or y", IN_IMAGE)
    try:
        sides = tuple(map(float, given.values()))
    except ValueError as error:
        what = f"{of} is not a number ({error})"
        raise refusal(table, what, fix, number, cause="no number").error() from error
    if what := _wrong(sides, of):
        raise refusal(table, what, fix, number, cause=what.partition(":")[0]).error()
    xmin, ymin, xmax, ymax = sides if len(sides) == len(SIDES) else (*sides, *sides)
    return Box(path, (xmin, ymin, xmax, ymax), label, number)


def _wrong(corners: tuple[float, ...], of: str) -> str:
    """Problem of the corners, or of a point, or ""."""
    if not all(math.isfinite(corner) for corner in corners):
        return f"{of} is not finite (NaN or infinity)"
    if len(corners) == len(CENTER):
        return ""
    xmin, ymin, xmax, ymax = corners
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
                mark = "point" if box.corners[:2] == box.corners[2:] else "box"
                what = f"{box.path} has the same {mark} in lines {other.line} and {box.line}"
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


def centers(boxes: Sequence[Box], width: int, height: int, table: Path) -> Float[Tensor, "m 4"]:
    """Points as fractions of the image's width and height, and the size of a pixel in these.

    Raises:
        DataError: a point lies outside of the image.
    """
    for point in boxes:
        x, y = point.corners[:2]
        if not (-BEYOND <= x <= width + BEYOND and -BEYOND <= y <= height + BEYOND):
            what = (
                f"the point {x:g}, {y:g} lies outside of {point.path.name}, which is {width} wide "
                f"and {height} high"
            )
            raise refusal(table, what, IN_IMAGE, point.line).error()
    pixels = torch.tensor([box.corners for box in boxes], dtype=torch.float64).view(-1, 4)
    found = (pixels / torch.tensor([width, height, width, height])).clamp(0, 1)
    found[:, 2:] = 1 / torch.tensor([width, height], dtype=torch.float64)
    return found.float()
