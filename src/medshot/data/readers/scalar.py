"""Readers of folders for regression, ordinal and multi-label tasks."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medshot.data.checks.issue import Issue, refusal, together
from medshot.data.dataset import Dataset
from medshot.data.io.registry import image_format
from medshot.data.layouts import medmnist
from medshot.data.layouts.recognize import read_manifest
from medshot.data.readers.metadata import (
    digest,
    folder_metadata,
    once,
    read_rows,
    refuse_two_labels,
)
from medshot.data.readers.registry import reads
from medshot.data.tables.cells import THOUSANDS, clean, loose_key, spelled_alike, with_points
from medshot.data.tables.columns import LARGEST, NUMBER
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, cells, columns_of
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import MultiLabel, Ordinal, Regression


def has_column(folder: Path, column: str) -> bool:
    """Whether labels.csv has `column`, and none `label`."""
    columns = columns_of(table_in(folder))
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
    target = column if column in columns_of(table_in(folder)) else "label"
    listed = read_manifest(folder, target, optional=optional)
    form = ImagePreprocessing(channels=channels or 3, size=size or 64)
    found, everything = read_rows(listed, lambda row: form.pixels(row.path))
    one = refuse_two_labels(found, [digest(row.path) for row in found])
    rows, pixels = [found[i] for i in one], [everything[i] for i in one]
    kept, digests, twice = once(rows)
    return {
        "x": torch.from_numpy(np.stack([pixels[i] for i in kept])),
        "preprocessing": form,
        **folder_metadata(folder, [rows[i] for i in kept], digests, notes=twice),
    }


def target_numbers(rows: Sequence[Row]) -> list[float]:
    """The targets of rows as numbers.

    Raises:
        DataError: one is no number, or too large for one; how many there are, and where.
    """
    texts = with_points([row.label for row in rows])
    problems = [_no_number(text, row) for text, row in zip(texts, rows, strict=True)]
    for problem in together([each for each in problems if each]):
        raise problem.error()
    return [float(text) for text in texts]


def _no_number(text: str, row: Row) -> Issue | None:
    line = row.line or None
    fix = "Write it like 12 or 3.5, with a point and no unit, or leave the row out."
    if THOUSANDS.fullmatch(text):
        what = f"its target is {text!r}, which is {text.replace(',', '')} or a decimal number"
        return refusal(row.path, what, fix, line, cause="thousands")
    if not NUMBER.fullmatch(text):
        what = f"its target is {text!r}, which is no number"
        return refusal(row.path, what, fix, line, cause="no number")
    if not abs(float(text)) <= LARGEST:
        fix = "Give it in another unit; an identifier is nothing to learn."
        what = f"its target is {text}, too large"
        return refusal(row.path, what, fix, line, cause="too large")
    return None


TARGET = "target"
LIKE_NUMBER = re.compile(r"[+-]?\d[\d.,]*(\s.*|%)?")  # with a unit, or with commas


def has_numbers(folder: Path) -> bool:
    """Whether labels.csv has a column `target` with numbers, and none `label`.

    One number, also with a unit, is enough: other cells then get their own error message.
    """
    written = cells(table_in(folder), TARGET) if has_column(folder, TARGET) else []
    return any(
        NUMBER.fullmatch(text) or (LIKE_NUMBER.fullmatch(text) and not image_format(Path(text)))
        for text in with_points(written)
    )


@reads(Regression.kind, where=has_numbers)
def measured(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with a number each, in the unit of the table."""
    fields = whole_images(folder, TARGET, channels, size)
    values = target_numbers(fields["rows"])
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
    values = target_numbers(fields["rows"])
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
PERHAPS = re.compile(r"\s*(?:[,/+&]|\band\b)\s*", re.IGNORECASE)
NOTHING = {"none", "normal", "nofinding", "nofindings"}  # as `loose_key`
FIRST = 3  # findings that a note names


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
    findings, notes = findings_of(fields["rows"])
    fields["notes"] = (*fields["notes"], *notes)
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


def findings_of(rows: Sequence[Row]) -> tuple[list[set[str]], list[str]]:
    """The findings of each image, and notes on those that are read otherwise than written.

    A finding like `edema, effusion` is two if one of them is a finding of its own (for other signs
    than commas: both). Findings with one `loose_key` are one.

    Raises:
        DataError: an image has findings and is `normal` too.
    """
    written = [_parts(BETWEEN, _without_brackets(row.label)) for row in rows]
    several, notes = _lists(written), []
    found = [[p for part in parts for p in several.get(part, [part])] for parts in written]
    if several:
        names = ", ".join(map(repr, list(several)[:FIRST]))
        notes.append(
            f"{len(several)} finding(s) are read as lists of findings, first {names}. Separate "
            "findings by ; or |."
        )
    counts = Counter(p for parts in found for p in parts if loose_key(p) not in NOTHING)
    spelling = {part: part for part in counts}
    for same in spelled_alike(counts):
        spelling |= dict.fromkeys(same, max(same, key=lambda part: (counts[part], part.islower())))
        names = ", ".join(map(repr, same))
        notes.append(
            f"The findings {names} differ in case, spaces or punctuation only and are read as one. "
            "Write them alike."
        )
    for part in [part for part in counts if "," in part]:
        notes.append(f"The finding {part!r} has a comma. If it is several, separate them by ;.")
    return [
        _refuse_normal({spelling.get(p, p) for p in parts}, row)
        for parts, row in zip(found, rows, strict=True)
    ], notes


def _parts(between: re.Pattern[str], text: str) -> list[str]:
    return [part for part in map(clean, between.split(text)) if part]


def _without_brackets(text: str) -> str:
    """The text of a list as programs write it, `['edema', 'effusion']`, with ; in it."""
    if text[:1] + text[-1:] not in ("[]", "{}"):
        return text
    return ";".join(_parts(re.compile("[,;|]"), text[1:-1]))


def _lists(written: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Names of findings that are lists of findings, and their parts."""
    names = dict.fromkeys(part for parts in written for part in parts)
    lists = {name: parts for name in names if len(parts := _parts(PERHAPS, name)) > 1}
    alone = Counter(loose_key(name) for name in names if name not in lists)
    within = Counter(key for parts in lists.values() for key in {*map(loose_key, parts)})
    known = {*alone, *(key for key, times in within.items() if times > 1), *NOTHING}

    def is_list(name: str, parts: Sequence[str]) -> bool:
        there = [loose_key(part) in known for part in parts]
        return all(there) or (any(there) and "," in name)

    return {name: parts for name, parts in lists.items() if is_list(name, parts)}


def _refuse_normal(those: set[str], row: Row) -> set[str]:
    """Findings without `normal`. Raises `DataError` if there are others too."""
    nothing = {label for label in those if loose_key(label) in NOTHING}
    if nothing and those != nothing:
        what = f"it is said to be {min(nothing)!r} and {min(those - nothing)!r} at once"
        raise refusal(row.path, what, "Leave one of them out.", row.line or None).error()
    return those - nothing
