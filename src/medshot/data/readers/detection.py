"""Reader of folders for detection: boxes.csv, and images.csv if some images have no box."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, Issue, finding_of, refusal
from medshot.data.checks.rows import class_names
from medshot.data.checks.skip import is_skipping, skip_or_raise
from medshot.data.dataset import Dataset
from medshot.data.io.image import orientation_mark, read_image
from medshot.data.io.registry import files_below
from medshot.data.layouts.content import BOXES as BOXED
from medshot.data.layouts.recognize import content_of
from medshot.data.readers.metadata import folder_metadata, once, read_rows
from medshot.data.readers.registry import FINE, reads
from medshot.data.tables.boxes import BOXES, Box, read_boxes, shares
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, columns_of, read_table
from medshot.data.tables.manifest import is_image
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import Detection
from medshot.tasks.boxes import NO_BOX

AS_SHOWN = (
    "If they were drawn on the image as stored, take the mark away (exiftool -Orientation= *.jpg): "
    "then both lie alike."
)
LISTS = ("images.csv", TABLE)  # tables that may list the images, by precedence
SAID = 3  # images without boxes that a note names
SHARES = (
    "Multiply xmin and xmax by the width of the image in pixels, and ymin and ymax by its height; "
    "text files of YOLO are read as they are (docs/layouts.md)."
)
FORM = "A folder with boxes has a file boxes.csv: path,xmin,ymin,xmax,ymax,label in pixels."


def has_boxes(folder: Path) -> bool:
    """Whether there are boxes of another tool, or a boxes.csv and no other target."""
    if content := content_of(folder):
        return content.target == BOXED
    others = {"label", "mask"} & set(columns_of(table_in(folder)))
    return table_in(folder, BOXES).is_file() and not others


def check_boxes(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder with boxes."""
    try:
        found = boxed(folder, None, None)
    except DataError as error:
        return [finding_of(error, folder)]
    content = content_of(folder)
    marked = _marked(folder, found.rows, found.y)
    said = {*(each.sentence for each in marked), *(content.notes_of(BOXED) if content else ())}
    notes = [note.rstrip(".") for note in found.notes if note not in said]
    issues = content.issues_of(BOXED) if content else []
    return [*issues, *marked, *[Issue("note", folder, None, note, FINE) for note in notes]]


def _marked(folder: Path, rows: Sequence[Row], y: Float[Tensor, "n m 5"]) -> list[Issue]:
    """Images with boxes whose orientation mark turns them: boxes are taken on the turned image."""
    drawn = (y[..., 4] != NO_BOX).any(1).tolist()
    turned = [
        row.path
        for row, has in zip(rows, drawn, strict=True)
        if has and orientation_mark(row.path) != 1
    ]
    if not turned:
        return []
    what = (
        f"{len(turned)} image(s) with boxes, first {turned[0].name}, carry an orientation mark "
        "(EXIF) that turns them; their boxes are taken on the turned image, as viewers show it"
    )
    return [Issue("warning", folder / BOXES, None, what, AS_SHOWN)]


@reads(Detection.kind, where=has_boxes, check=check_boxes, target=BOXED)
def boxed(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with their boxes; default 3 x 128 x 128."""
    form = ImagePreprocessing(channels=channels or 3, size=size or 128)
    boxes, listed, findings, notes, sources = _found(folder)
    table = table_in(folder, BOXES)
    listed, read = read_rows(
        listed,
        lambda row: _read(row, form, boxes.get(row.path, ()), sources.get(row.path, table)),
    )
    kept, digests, twice = once(listed)
    rows = [listed[i] for i in kept]
    counts = Counter(box.label for row in rows for box in boxes.get(row.path, ()))
    labels = tuple(sorted(counts))
    doubts = [each for each in findings if each.severity == "warning"] + class_names(counts)
    notes += [doubt.sentence for doubt in doubts]
    contents = [d + _digest(boxes.get(r.path, ())) for d, r in zip(digests, rows, strict=True)]
    y = _filled_up([(read[i][1], boxes.get(listed[i].path, ())) for i in kept], labels)
    marked = [each.sentence for each in _marked(folder, rows, y)]
    return Dataset(
        x=torch.from_numpy(np.stack([read[i][0] for i in kept])),
        y=y,
        labels=labels,
        preprocessing=form,
        task=Detection.of(len(labels)),
        **folder_metadata(folder, rows, contents, notes=(*notes, *twice, *marked)),
    )


def _found(
    folder: Path,
) -> tuple[
    Mapping[Path, Sequence[Box]], Sequence[Row], list[Issue], list[str], Mapping[Path, Path]
]:
    """Boxes by image, images, findings, notes, and annotation files other than boxes.csv."""
    content = content_of(folder)
    if content and (BOXED in content.rows or not content.rows):
        _refuse(content.issues_of(BOXED))
        return content.boxes, content.rows[BOXED], [], [], content.sources
    table = table_in(folder, BOXES)
    if not table.is_file():
        what = f"{content.line}: it says nothing of boxes" if content else "there is no such file"
        raise refusal(content.source if content else table, what, FORM).error()
    boxes, findings = read_boxes(table)
    _refuse(findings)
    if is_skipping():
        boxes = {path: _each_once(found) for path, found in boxes.items()}
    _refuse_shares(table, [box for found in boxes.values() for box in found])
    listed, notes = _listed(folder, boxes)
    if not any(boxes.values()):
        raise refusal(table, "it holds no box", FORM).error()
    return boxes, listed, findings, notes, {}


def _each_once(boxes: Sequence[Box]) -> list[Box]:
    """The first of boxes with the same corners."""
    return list({box.corners: box for box in reversed(boxes)}.values())[::-1]


def _refuse_shares(table: Path, boxes: Sequence[Box]) -> None:
    """Raise `DataError` if every box lies within one pixel: corners are shares of the image."""
    if boxes and all(0 <= corner <= 1 for box in boxes for corner in box.corners):
        what = f"all corners of its {len(boxes)} boxes lie between 0 and 1: shares of the image, "
        raise refusal(table, f"{what}not pixels", SHARES).error()


def _listed(folder: Path, boxes: Mapping[Path, Sequence[Box]]) -> tuple[list[Row], list[str]]:
    """Rows of the images: those of a list if there is one, else all images of the folder."""
    lists = [table for name in LISTS if (table := table_in(folder, name)).is_file()]
    if not lists:
        others = [f for f in files_below(folder) if is_image(f) and f not in boxes]
        return [Row(path, "") for path in (*boxes, *others)], _without_boxes(others)
    rows, findings = read_table(lists[0], "path")
    known = {row.path for row in rows}
    for path, found in boxes.items():
        if path not in known and not any(f.severity == "error" for f in findings):
            line = found[0].line if found else None
            what = f"{path.relative_to(folder)} is not in {lists[0].name}"
            findings.append(refusal(folder / BOXES, what, "Add it there, or leave it out.", line))
    _refuse(findings)
    return rows, []


def _without_boxes(others: Sequence[Path]) -> list[str]:
    if not others:
        return []
    names = ", ".join(path.name for path in others[:SAID]) + (", ..." if others[SAID:] else "")
    return [
        f"{len(others)} image(s) of the folder are not in {BOXES} and are taken as images without "
        f"objects ({names}). If that is wrong, list the images to use in {LISTS[0]}."
    ]


def _refuse(findings: Sequence[Issue]) -> None:
    """Raise the first error, or leave out the lines that have one, if bad rows are skipped."""
    errors = [finding for finding in findings if finding.severity == "error"]
    for error in errors:
        if not error.line:
            raise error.error()
    skip_or_raise(errors)


def _read(
    row: Row, form: ImagePreprocessing, boxes: Sequence[Box], table: Path
) -> tuple[np.ndarray, Float[Tensor, "m 4"]]:
    if boxes and not row.path.is_file():
        what = f"{row.path.name} does not exist"
        fix = "Correct the path, or remove the line."
        raise refusal(table, what, fix, boxes[0].line).error()
    pixels = read_image(row.path)
    height, width = pixels.shape[:2]
    try:
        return form.fit(pixels), shares(boxes, width, height, table)
    except DataError as error:
        if not boxes or orientation_mark(row.path) == 1:
            raise
        found = finding_of(error, table)
        what = f"{found.what} after its orientation mark (EXIF) has turned it"
        raise replace(found, what=what, fix=AS_SHOWN).error() from error


def _filled_up(
    found: Sequence[tuple[Tensor, Sequence[Box]]], labels: tuple[str, ...]
) -> Float[Tensor, "n m 5"]:
    """Boxes of all images in one tensor, padded to the largest number."""
    y = torch.full((len(found), max(len(corners) for corners, _ in found), 5), float(NO_BOX))
    for row, (corners, boxes) in zip(y, found, strict=True):
        row[: len(corners), :4] = corners
        row[: len(corners), 4] = torch.tensor([labels.index(box.label) for box in boxes])
    return y


def _digest(boxes: Sequence[Box]) -> str:
    said = sorted((box.corners, box.label) for box in boxes)
    return hashlib.sha256(repr(said).encode()).hexdigest()
