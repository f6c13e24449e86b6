"""Marked regions (boxes, outlines, run lengths) as boxes or as masks drawn in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import Issue, finding_of, refusal
from medshot.data.io.image import MOST_CLASSES, upright_size
from medshot.data.layouts.content import (
    BOXES,
    LABEL,
    MASK,
    POINTS,
    Content,
    DrawnRow,
    bad,
    classes_said,
    counted,
)
from medshot.data.tables.boxes import Box
from medshot.data.tables.labels import Row
from medshot.data.weak_masks import UNKNOWN, box_sketch

Corners = tuple[float, float, float, float]
Outline = tuple[tuple[float, float], ...]
Paint = Callable[[tuple[int, int]], Bool[ndarray, "h w"]]
MOST_POINTS = 100_000  # of one outline: drawing takes a step for each
BACKGROUND = "background"  # points of this class say where nothing is
BEYOND = 1.0  # tolerance in pixels, as for boxes.csv
OUT = "Coordinates are pixels from the top left of the image: correct it, or export again."
SAID = 3  # files that a note names


@dataclass(frozen=True)
class Region:
    """One marked object: box, outlines (holes by the even-odd rule), painted pixels, or center."""

    label: str
    where: str  # in its annotation file, for messages
    box: Corners | None = None  # xmin, ymin, xmax, ymax in pixels
    outlines: tuple[Outline, ...] = ()
    paint: Paint | None = None
    point: tuple[float, float] | None = None  # x, y in pixels

    @property
    def is_outlined(self) -> bool:
        """Whether its shape is known, not only a box around it."""
        return bool(self.outlines or self.paint)


@dataclass(frozen=True)
class Annotated:
    """One image with its regions or its label, and the file that says so."""

    path: Path
    source: Path
    regions: tuple[Region, ...] = ()
    label: str = ""
    size: tuple[int, int] | None = None  # width and height by the annotation
    split: str = ""


def outline_of(values: Sequence[float], source: Path, where: str) -> Outline:
    """Pairs of x, y as an outline.

    Raises:
        DataError: an odd number of values, fewer than three points, or too many.
    """
    if len(values) % 2 or len(values) < 6:
        what = f"{where}: an outline of {len(values)} numbers is no polygon"
        raise bad(source, what, "It needs at least three points, x and y for each.")
    if len(values) > 2 * MOST_POINTS:
        what = f"{where}: an outline of {len(values) // 2} points"
        raise bad(source, what, f"At most {MOST_POINTS} are drawn: simplify it.")
    return tuple(zip(values[::2], values[1::2], strict=True))


def fill(outlines: Sequence[Outline], shape: tuple[int, int]) -> Bool[ndarray, "h w"]:
    """Pixels whose centers are inside each outline by the even-odd rule, joined.

    An edge from (x1, y1) to (x2, y2) is crossed by each row center between them; a pixel is inside
    where an odd number of crossings lie to its left.
    """
    height, width = shape
    whole = np.zeros(shape, bool)
    for outline in outlines:
        flips = np.zeros((height, width + 1), np.int32)
        for (x1, y1), (x2, y2) in zip(outline, (*outline[1:], outline[0]), strict=True):
            (xa, ya), (xb, yb) = sorted(((x1, y1), (x2, y2)), key=lambda point: point[1])
            first, last = int(np.ceil(max(ya - 0.5, 0))), int(np.ceil(min(yb - 0.5, height)))
            if first < last:
                rows = np.arange(first, last)
                x = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya)
                flips[rows, np.ceil(x - 0.5).clip(0, width).astype(int)] += 1
        whole |= (flips.cumsum(1)[:, :-1] % 2).astype(bool)
    return whole


def draw(
    regions: Sequence[Region], numbers: Mapping[str, int], shape: tuple[int, int]
) -> UInt8[ndarray, "h w"]:
    """Mask of class numbers; where regions overlap, the later one counts."""
    mask = np.zeros(shape, np.uint8)
    for region in regions:
        if region.paint:
            mask[region.paint(shape)] = numbers[region.label]
        elif region.outlines:
            mask[fill(region.outlines, shape)] = numbers[region.label]
    return mask


def sketch(
    regions: Sequence[Region], numbers: Mapping[str, int], shape: tuple[int, int]
) -> UInt8[ndarray, "h w"]:
    """Mask of class numbers where boxes and points say them; outlines and paint lie on top."""
    boxes = [(r.box, numbers[r.label]) for r in regions if r.box]
    points = [(*r.point, numbers.get(r.label, 0)) for r in regions if r.point]
    known = draw(regions, numbers, shape)
    if not (boxes or points):
        return known
    return np.where(known > 0, known, box_sketch(boxes, points, shape)).astype(np.uint8)


def _box_of(region: Region, size: tuple[int, int], source: Path) -> Corners | None:
    """Box of a region; None if nothing is painted."""
    width, height = size
    if region.point:
        x, y = region.point
        if not (-BEYOND <= x <= width + BEYOND and -BEYOND <= y <= height + BEYOND):
            what = f"{region.where}: the point {x:g}, {y:g} lies outside of its image, "
            raise bad(source, f"{what}{width} wide and {height} high", OUT)
        return x, y, x, y
    corners = region.box
    if corners is None and region.paint:
        ys, xs = np.nonzero(region.paint((height, width)))
        if not len(xs):
            return None
        corners = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    if corners is None:
        xs, ys = (np.array([p[axis] for o in region.outlines for p in o]) for axis in (0, 1))
        corners = (float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max()))
    xmin, ymin, xmax, ymax = corners
    said = ", ".join(f"{c:g}" for c in corners)
    if xmin >= xmax or ymin >= ymax:
        raise bad(source, f"{region.where}: the box {said} has no size", OUT)
    if min(xmin, ymin) < -BEYOND or xmax > width + BEYOND or ymax > height + BEYOND:
        what = f"{region.where}: {said} reaches out of its image, {width} wide and {height} high"
        raise bad(source, what, OUT)
    return corners


def _lines(
    rows: Mapping[str, Sequence[Row]],
    classes: Mapping[str, Sequence[str]],
    boxes: int,
    read: str,
    source: str,
    *,
    outlined: bool,
) -> dict[str, str]:
    """What was read as what, by target; the first says how to learn the others."""
    holds = {BOXES: counted(boxes, "box"), MASK: counted(boxes, "outline"), LABEL: "a label each"}
    holds[POINTS] = counted(boxes, "point")
    if not outlined:
        holds[MASK] = "masks made of boxes and points, the pixels between decided by the image,"
    lines = {
        target: f"{read}: {counted(len(those), 'image')}, {classes_said(classes[target])}, "
        f"{holds[target]} from {source}"
        for target, those in rows.items()
    }
    also = {MASK: " (for masks: --task segmentation)", BOXES: " (for boxes: --task detection)"}
    if not outlined:
        del also[MASK]  # boxes can be made to masks; they are boxes first of all
    if others := [also[other] for other in list(rows)[1:] if other in also]:
        lines[next(iter(rows))] += others[0]
    return lines


def with_regions(
    layout: str,
    source: Path,
    images: Sequence[Annotated],
    *,
    names: Sequence[str] = (),
    boxes_first: bool = False,
    issues: Sequence[Issue] = (),
    more: str = "",
) -> Content:
    """Content of annotated images.

    Args:
        layout: the format's name.
        source: the file, or folder, that the line names.
        images: each with its regions.
        names: classes of masks in order; others follow by name.
        boxes_first: boxes are used unless masks are asked for, though outlines are known.
        issues: what was noticed already.
        more: end of the line.

    Raises:
        DataError: a region that does not fit its image; two sizes; two entries for one image;
            points and other regions mixed.
    """
    target = _marks_of(images)
    used = {region.label for image in images for region in image.regions}
    grounds = {r.label for i in images for r in i.regions if r.point} & {BACKGROUND}
    used -= grounds  # points may say where nothing is
    order = [*(n for n in names if n in used), *sorted(used - set(names))]
    every = {image.path: image for image in images}
    if len(every) < len(images):
        twice = next(i for n, i in enumerate(images) if i.path in {j.path for j in images[:n]})
        what = f"{twice.path.name} is listed twice"
        raise bad(twice.source, what, "Keep one entry an image.")
    boxes: dict[Path, list[Box]] = {}
    for image in images:
        boxes[image.path] = [b for b in _boxes_in(image) if b.label not in grounds]
    every_region = [r for image in images for r in image.regions]
    outlined = bool(used) and all(r.is_outlined for r in every_region)
    tags = {image.label for image in images}
    rows: dict[str, list[Row]] = {}
    if used:
        rows[target] = [Row(i.path, "", split=i.split) for i in images]
    if used and len(order) < MOST_CLASSES:
        masks = _mask_rows(images, order, outlined=outlined)
        first = not boxes_first and outlined
        rows = {MASK: masks, **rows} if first else {**rows, MASK: masks}
    if any(tags):
        tagged = [Row(i.path, i.label, split=i.split) for i in images if i.label]
        rows = {**rows, LABEL: tagged} if used else {LABEL: tagged}
    if not rows:
        what = "nothing is marked on any image"
        issues = [*issues, refusal(source, what, "Mark something, or give labels.")]
    classes = {BOXES: order, POINTS: order, MASK: order, LABEL: sorted(tags - {""})}
    count = sum(map(len, boxes.values()))
    from_source = f"{source.name}{more}"
    lines = _lines(rows, classes, count, f"read as {layout}", from_source, outlined=outlined)
    return Content(
        layout,
        source,
        next(iter(lines.values()), ""),
        rows,
        boxes,
        tuple(order),
        tuple(issues),
        sources={image.path: image.source for image in images},
        lines=lines,
        unlabeled=None if outlined else UNKNOWN,
    )


def _mask_rows(images: Sequence[Annotated], classes: Sequence[str], *, outlined: bool) -> list[Row]:
    """Masks that are drawn of the regions where they are read; of boxes and points, sketches."""
    numbers = {name: c for c, name in enumerate(classes, 1)}
    how = draw if outlined else sketch
    return [
        DrawnRow(
            i.path,
            "",
            split=i.split,
            mask=i.source,
            draw=partial(how, i.regions, numbers),
            is_sketch=not outlined,
        )
        for i in images
    ]


def _marks_of(images: Sequence[Annotated]) -> str:
    """Target of the regions: points, if all are."""
    points = sum(bool(r.point) for i in images for r in i.regions)
    others = sum(not r.point for i in images for r in i.regions)
    if points and others:
        source = next(i.source for i in images if any(r.point for r in i.regions))
        what = f"{counted(points, 'point')} and {counted(others, 'box')} or areas are mixed"
        raise bad(source, what, "Mark every object alike: all by their centers, or all by boxes.")
    return POINTS if points else BOXES


def _boxes_in(image: Annotated) -> list[Box]:
    try:
        size = upright_size(image.path)
    except DataError as error:
        if image.size is None:
            raise finding_of(error, image.path).error() from error
        size = image.size  # the reader of the image says what is wrong with it
    if image.size and image.size != size:
        sides = [" x ".join(map(str, each)) for each in (image.size, size)]
        what = f"{image.path.name} is {sides[0]} there, and the file is {sides[1]}"
        raise bad(image.source, what, "The image was resized after it was marked: take the first.")
    found: dict[tuple[Corners, str], Box] = {}
    for region in image.regions:
        corners = _box_of(region, size, image.source)
        if corners:
            found.setdefault((corners, region.label), Box(image.path, corners, region.label, 0))
    return list(found.values())


def unmarked(paths: Sequence[Path], folder: Path, what: str) -> list[Issue]:
    """Note on images of the folder that no annotation speaks of."""
    if not paths:
        return []
    names = ", ".join(path.name for path in paths[:SAID]) + (", ..." if paths[SAID:] else "")
    said = f"{counted(len(paths), 'image')} of the folder {what} ({names})"
    return [Issue("warning", folder, None, said, "Add them there if they belong to it.")]


def unread_shapes(found: Mapping[str, int], source: Path) -> list[Issue]:
    """Warning on shapes that are neither boxes nor areas."""
    if not found:
        return []
    kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(found.items()))
    what = f"{kinds}: neither boxes nor areas, left out"
    fix = "Mark the object by a box or a polygon, or every object by a point."
    return [Issue("warning", source, None, what, fix)]
