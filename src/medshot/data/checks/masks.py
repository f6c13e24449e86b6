"""Checks of a folder of images, or volumes, with masks."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, Issue, finding_of
from medshot.data.checks.labels import patients
from medshot.data.layouts.recognize import survey
from medshot.data.readers.metadata import once
from medshot.data.tables.labels import Row

Read = Callable[[Row], ndarray]


def check_masks(folder: Path, read: Read) -> list[Issue]:
    """Unreadable or unpaired rows, empty masks, classes that are on one image only.

    `read` returns the class numbers of a row's mask and raises `DataError` if it does not fit the
    image.
    """
    rows, found = survey(folder, "mask")
    if not rows:
        return found
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda row: _numbers(row, read), rows))
    found += [each for each in seen if isinstance(each, Issue)]
    fine = [(row, each) for row, each in zip(rows, seen, strict=True) if isinstance(each, set)]
    found += [_empty(row) for row, numbers in fine if numbers <= {0}]
    found += _rare(folder, [numbers for _, numbers in fine])
    if fine:
        found += _twice(folder, [row for row, _ in fine])
    return found + patients(rows, folder)


def _numbers(row: Row, read: Read) -> set[int] | Issue:
    """Class numbers in a mask, or the problem with it."""
    try:
        return set(np.unique(read(row)).tolist())
    except DataError as error:
        return finding_of(error, row.path, row.line or None)


def _empty(row: Row) -> Issue:
    what = "nothing is marked on it"
    return Issue("note", row.mask, row.line or None, what, "Fine if there is nothing to mark.")


def _twice(folder: Path, rows: Sequence[Row]) -> list[Issue]:
    notes = [note.removesuffix(": left out.") for note in once(rows)[2]]
    return [Issue("warning", folder / TABLE, None, what, "It is used once.") for what in notes]


def _rare(folder: Path, masks: Sequence[set[int]]) -> list[Issue]:
    """Classes on fewer than two images, which cannot be both in support and query."""
    highest = max((number for numbers in masks for number in numbers), default=0)
    where = folder / TABLE if (folder / TABLE).is_file() else folder
    counts = [sum(c in numbers for numbers in masks) for c in range(1, highest + 1)]
    fix = "Mark it on at least a second one; numbers are 1, 2, ... without gaps."
    return [
        Issue("warning", where, None, f"class number {c} is on {n} image(s)", fix)
        for c, n in enumerate(counts, 1)
        if n < 2
    ]
