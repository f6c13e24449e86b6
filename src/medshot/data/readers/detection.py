"""Reader of folders for detection: boxes.csv, and images.csv if some images have no box."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from medshot.data.readers.registry import FINE, Reader, reads
from medshot.data.tables.boxes import BOXES, COLUMNS, Box, read_boxes, shares
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, columns_of, mask_columns, read_table
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
    "Multiply each x by the width of the image in pixels, and each y by its height; text "
    "files of YOLO are read as they are (docs/layouts.md)."
)


@dataclass(frozen=True)
class Marks:
    """What is marked in a folder: its table and columns, and the fractions of its marks."""

    name: str  # plural
    target: str
    table: str
    columns: Sequence[str]
    fractions: Callable[[Sequence[Box], int, int, Path], Float[Tensor, "m 4"]]

    @property
    def form(self) -> str:
        """What the table looks like."""
        columns = ",".join(self.columns)
        return f"A folder with {self.name} has a file {self.table}: {columns} in pixels."


BOX_MARKS = Marks("boxes", BOXED, BOXES, COLUMNS, shares)


def has_marks(folder: Path, table: str, target: str) -> bool:
    """Whether there are marks of another tool, or such a table and no other target."""
    if content := content_of(folder):
        return content.target == target
    listed = table_in(folder)
    others = "label" in columns_of(listed) or mask_columns(listed)
    return table_in(folder, table).is_file() and not others


def has_boxes(folder: Path) -> bool:
    """Whether there are boxes of another tool, or a boxes.csv and no other target."""
    return has_marks(folder, BOXES, BOXED)


def check_boxes(folder: Path) -> list[Issue]:
    """Errors and warnings of a folder with boxes."""
    return check_marks(folder, boxed, BOX_MARKS)


def check_marks(folder: Path, read: Reader, marks: Marks) -> list[Issue]:
    """Errors and warnings of a folder that `read` reads."""
    try:
        found = read(folder, None, None)
    except DataError as error:
        return [finding_of(error, folder)]
    content = content_of(folder)
    turned = _turned(folder, found.rows, found.y, marks)
    own = content.notes_of(marks.target) if content else ()
    said = {*(each.sentence for each in turned), *own}
    notes = [note.rstrip(".") for note in found.notes if note not in said]
    issues = content.issues_of(marks.target) if content else []
    return [*issues, *turned, *[Issue("note", folder, None, note, FINE) for note in notes]]


def _turned(
    folder: Path, rows: Sequence[Row], y: Float[Tensor, "n m 5"], marks: Marks
) -> list[Issue]:
    """Images with marks whose orientation mark turns them: marks are taken on the turned image."""
    drawn = (y[..., 4] != NO_BOX).any(1).tolist()
    turned = [
        row.path
        for row, has in zip(rows, drawn, strict=True)
        if has and orientation_mark(row.path) != 1
    ]
    if not turned:
        return []
    what = (
        f"{len(turned)} image(s) with {marks.name}, first {turned[0].name}, carry an orientation "
        f"mark (EXIF) that turns them; their {marks.name} are taken on the turned image, as "
        "viewers show it"
    )
    return [Issue("warning", folder / marks.table, None, what, AS_SHOWN)]


@reads(Detection.kind, where=has_boxes, check=check_boxes, target=BOXED)
def boxed(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with their boxes; default 3 x 128 x 128."""
    return marked(folder, channels, size, BOX_MARKS)


def marked(folder: Path, channels: int | None, size: int | None, marks: Marks) -> Dataset:
    """Read the images of `folder` with what is marked on them."""
    form = ImagePreprocessing(channels=channels or 3, size=size or 128)
    boxes, listed, findings, notes, sources = _found(folder, marks)
    table = table_in(folder, marks.table)
    listed, read = read_rows(
        listed,
        lambda row: _read(row, form, boxes.get(row.path, ()), sources.get(row.path, table), marks),
    )
    kept, digests, twice = once(listed)
    rows = [listed[i] for i in kept]
    counts = Counter(box.label for row in rows for box in boxes.get(row.path, ()))
    labels = tuple(sorted(counts))
    doubts = [each for each in findings if each.severity == "warning"] + class_names(counts)
    notes += [doubt.sentence for doubt in doubts]
    contents = [d + _digest(boxes.get(r.path, ())) for d, r in zip(digests, rows, strict=True)]
    y = _filled_up([(read[i][1], boxes.get(listed[i].path, ())) for i in kept], labels)
    turned = [each.sentence for each in _turned(folder, rows, y, marks)]
    return Dataset(
        x=torch.from_numpy(np.stack([read[i][0] for i in kept])),
        y=y,
        labels=labels,
        preprocessing=form,
        task=Detection.of(len(labels)),
        **folder_metadata(folder, rows, contents, notes=(*notes, *twice, *turned)),
    )


def _found(
    folder: Path, marks: Marks
) -> tuple[
    Mapping[Path, Sequence[Box]], Sequence[Row], list[Issue], list[str], Mapping[Path, Path]
]:
    """Boxes by image, images, findings, notes, and annotation files other than the table."""
    content = content_of(folder)
    if content and (marks.target in content.rows or not content.rows):
        _refuse(content.issues_of(marks.target))
        return content.boxes, content.rows[marks.target], [], [], content.sources
    table = table_in(folder, marks.table)
    if not table.is_file():
        nothing = f"it says nothing of {marks.name}"
        what = f"{content.line}: {nothing}" if content else "there is no such file"
        raise refusal(content.source if content else table, what, marks.form).error()
    boxes, findings = read_boxes(table, marks.columns)
    _refuse(findings)
    if is_skipping():
        boxes = {path: _each_once(found) for path, found in boxes.items()}
    _refuse_shares(table, [box for found in boxes.values() for box in found], marks)
    listed, notes = _listed(folder, boxes, marks)
    if not any(boxes.values()):
        raise refusal(table, f"it holds no {marks.name}", marks.form).error()
    return boxes, listed, findings, notes, {}


def _each_once(boxes: Sequence[Box]) -> list[Box]:
    """The first of boxes with the same corners."""
    return list({box.corners: box for box in reversed(boxes)}.values())[::-1]


def _refuse_shares(table: Path, boxes: Sequence[Box], marks: Marks) -> None:
    """Raise `DataError` if every box lies within one pixel: corners are shares of the image."""
    if boxes and all(0 <= corner <= 1 for box in boxes for corner in box.corners):
        what = f"all corners of its {len(boxes)} {marks.name} lie between 0 and 1: shares of the "
        raise refusal(table, f"{what}image, not pixels", SHARES).error()


def _listed(
    folder: Path, boxes: Mapping[Path, Sequence[Box]], marks: Marks
) -> tuple[list[Row], list[str]]:
    """Rows of the images: those of a list if there is one, else all images of the folder."""
    lists = [table for name in LISTS if (table := table_in(folder, name)).is_file()]
    if not lists:
        others = [f for f in files_below(folder) if is_image(f) and f not in boxes]
        return [Row(path, "") for path in (*boxes, *others)], _without_boxes(others, marks)
    rows, findings = read_table(lists[0], "path")
    known = {row.path for row in rows}
    for path, found in boxes.items():
        if path not in known and not any(f.severity == "error" for f in findings):
            line = found[0].line if found else None
            what = f"{path.relative_to(folder)} is not in {lists[0].name}"
            findings.append(
                refusal(folder / marks.table, what, "Add it there, or leave it out.", line)
            )
    _refuse(findings)
    return rows, []


def _without_boxes(others: Sequence[Path], marks: Marks) -> list[str]:
    if not others:
        return []
    names = ", ".join(path.name for path in others[:SAID]) + (", ..." if others[SAID:] else "")
    return [
        f"{len(others)} image(s) of the folder are not in {marks.table} and are taken as images "
        f"without objects ({names}). If that is wrong, list the images to use in {LISTS[0]}."
    ]


def _refuse(findings: Sequence[Issue]) -> None:
    """Raise the first error, or leave out the lines that have one, if bad rows are skipped."""
    errors = [finding for finding in findings if finding.severity == "error"]
    for error in errors:
        if not error.line:
            raise error.error()
    skip_or_raise(errors)


def _read(
    row: Row, form: ImagePreprocessing, boxes: Sequence[Box], table: Path, marks: Marks
) -> tuple[np.ndarray, Float[Tensor, "m 4"]]:
    if boxes and not row.path.is_file():
        what = f"{row.path.name} does not exist"
        fix = "Correct the path, or remove the line."
        raise refusal(table, what, fix, boxes[0].line).error()
    pixels = read_image(row.path)
    height, width = pixels.shape[:2]
    try:
        return form.fit(pixels), marks.fractions(boxes, width, height, table)
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
