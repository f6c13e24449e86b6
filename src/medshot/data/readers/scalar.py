"""Readers of folders for regression, ordinal and multi-label tasks."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medshot.data.checks.issue import TABLE, refusal
from medshot.data.dataset import Dataset
from medshot.data.layouts import medmnist
from medshot.data.layouts.recognize import read_manifest
from medshot.data.readers.metadata import digest, folder_metadata, named, once, refuse_two_labels
from medshot.data.readers.registry import reads
from medshot.data.tables.columns import LARGEST, NUMBER
from medshot.data.tables.labels import Row, cells, columns_of
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import MultiLabel, Ordinal, Regression


def has_column(folder: Path, column: str) -> bool:
    """Whether labels.csv has `column`, and none `label`."""
    columns = columns_of(folder / TABLE)
    return column in columns and "label" not in columns


def whole_images(
    folder: Path, column: str, channels: int | None, size: int | None, *, optional: bool = False
) -> dict[str, Any]:
    """Fields of a data set except its targets, whose text is in `row.label`.

    Targets are read from `column`, or else from `label` (or the names of sub-folders), where they
    may be if the task is given explicitly. Duplicate images are dropped. Images are 3 x 64 x 64 by
    default.

    Raises:
        DataError: a problem of the table or an image; one image with two targets.
    """
    target = column if column in columns_of(folder / TABLE) else "label"
    rows = read_manifest(folder, target, optional=optional)
    form = ImagePreprocessing(channels=channels or 3, size=size or 64)
    with ThreadPoolExecutor() as pool:
        pixels = list(pool.map(lambda row: named(row, lambda: form.pixels(row.path)), rows))
    refuse_two_labels(rows, [digest(row.path) for row in rows])
    kept, digests, twice = once(rows)
    return {
        "x": torch.from_numpy(np.stack([pixels[i] for i in kept])),
        "preprocessing": form,
        **folder_metadata(folder, [rows[i] for i in kept], digests, notes=twice),
    }


def target_number(row: Row) -> float:
    """The target of a row as a number. Raises `DataError` where it is not a number."""
    text = row.label
    if not NUMBER.fullmatch(text):
        what = f"its target is {text!r}, which is no number"
        fix = "Write it like 12 or 3.5, with a point and no unit, or leave the row out."
        raise refusal(row.path, what, fix, row.line or None).error()
    if not abs(float(text)) <= LARGEST:
        fix = "Give it in another unit; an identifier is nothing to learn."
        raise refusal(row.path, f"its target is {text}, too large", fix, row.line or None).error()
    return float(text)


TARGET = "target"


def has_numbers(folder: Path) -> bool:
    """Whether labels.csv has a column `target` with numbers, and none `label`.

    One number is enough: other cells then get their own error message.
    """
    written = cells(folder / TABLE, TARGET) if has_column(folder, TARGET) else []
    return any(NUMBER.fullmatch(text) for text in written)


@reads(Regression.kind, where=has_numbers)
def measured(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with a number each, in the unit of the table."""
    fields = whole_images(folder, TARGET, channels, size)
    values = [target_number(row) for row in fields["rows"]]
    if len(set(values)) == 1:
        what = f"every image has the target {values[0]:g}: there is nothing to learn"
        raise refusal(folder, what, "Add images with other values.").error()
    y = torch.tensor(values, dtype=torch.float64)[:, None]
    return Dataset(y=y, labels=(TARGET,), task=Regression(1), **fields)


GRADE = "grade"
MOST = 20  # grades at most: more distinct values are taken as measurements


def has_grades(folder: Path) -> bool:
    """Whether labels.csv has a column `grade`, and none `label`."""
    return has_column(folder, GRADE)


@reads(Ordinal.kind, where=has_grades)
def graded(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with a grade each: numbers, in the order of the grades.

    Distances between numbers do not matter: 0, 1 and 4 are three consecutive grades.
    """
    if medmnist.archive_of(folder):
        return medmnist.load(folder, Ordinal.kind, channels, size)
    fields = whole_images(folder, GRADE, channels, size)
    values = [target_number(row) for row in fields["rows"]]
    grades = sorted(set(values))
    if not 2 <= len(grades) <= MOST:
        what = f"it has {len(grades)} different grade(s), not 2 to {MOST}"
        fix = "Add images of another grade; for a measurement say --task regression."
        raise refusal(folder, what, fix).error()
    y = torch.tensor([grades.index(value) for value in values])
    labels = tuple(f"{grade:g}" for grade in grades)
    return Dataset(y=y, labels=labels, task=Ordinal(len(labels) - 1), **fields)


LABELS = "labels"
BETWEEN = re.compile("[;|]")
NOTHING = {"none", "normal", "no finding", "no findings"}


def has_findings(folder: Path) -> bool:
    """Whether labels.csv has a column `labels`, and none `label`; or such an archive."""
    return has_column(folder, LABELS) or medmnist.has_findings(folder)


@reads(MultiLabel.kind, where=has_findings)
def found(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with their findings: `edema;effusion`, or an empty cell for none.

    Findings are separated by `;` or `|`. `none`, `normal` and `no finding`, alone, are the same as
    an empty cell.
    """
    if medmnist.archive_of(folder):
        return medmnist.load(folder, MultiLabel.kind, channels, size)
    fields = whole_images(folder, LABELS, channels, size, optional=True)
    findings = [findings_of(row) for row in fields["rows"]]
    labels = sorted(set().union(*findings))
    if not labels:
        what = "no image has a finding"
        raise refusal(folder, what, "Write them as `edema;effusion`.").error()
    for label in labels:
        if all(label in those for those in findings):
            what = f"every image has the finding {label!r}: there is nothing to tell apart"
            raise refusal(folder, what, "Add images without it, or leave it out.").error()
    y = torch.tensor([[int(label in those) for label in labels] for those in findings])
    return Dataset(y=y, labels=tuple(labels), task=MultiLabel(len(labels)), **fields)


def findings_of(row: Row) -> set[str]:
    """The findings of one image. Raises `DataError` if it has findings and is `normal` too."""
    those = {part.strip() for part in BETWEEN.split(row.label)} - {""}
    nothing = {label for label in those if label.lower() in NOTHING}
    if nothing and those != nothing:
        what = f"it is said to be {min(nothing)!r} and {min(those - nothing)!r} at once"
        raise refusal(row.path, what, "Leave one of them out.", row.line or None).error()
    return those - nothing
