"""Checks of a folder of images, or volumes, with masks."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, Issue, finding_of, refusal
from medshot.data.checks.rows import patients
from medshot.data.io.image import MOST_CLASSES, WHITE
from medshot.data.layouts.recognize import listed
from medshot.data.readers.metadata import once
from medshot.data.tables.labels import Row

Read = Callable[[Row], ndarray]
GREY = "Write the same number for the same class in every mask, 0 for background."


def class_indices(masks: Sequence[set[int]], *, white: bool) -> dict[int, int]:
    """The class of each number in `masks`: 0 is background, the others count from 1 in order.

    With `white`, where no mask marks anything but 1, 255 or 65535, they are all class 1: black and
    white.
    """
    numbers = sorted({0}.union(*masks))
    marked = [each - {0} for each in masks]
    if white and all(len(each) < 2 and each <= {1, *WHITE} for each in marked):
        return {0: 0} | dict.fromkeys((1, *WHITE), 1) if any(marked) else {0: 0}
    return {number: index for index, number in enumerate(numbers)}


def check_masks(folder: Path, read: Read, *, white: bool) -> list[Issue]:
    """Unreadable or unpaired rows, empty masks, classes that are on one image only.

    `read` returns the class numbers of a row's mask and raises `DataError` if it does not fit the
    image; `white` is that of `class_indices`.
    """
    known = listed(folder, "mask")
    rows, found = known.rows, known.findings
    if not rows:
        return found
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda row: _numbers(row, read, known.unlabeled), rows))
    found += [each for each in seen if isinstance(each, Issue)]
    fine = [(row, each) for row, each in zip(rows, seen, strict=True) if isinstance(each, set)]
    found += [_empty(row) for row, numbers in fine if numbers <= {0}]
    found += class_findings(folder, [numbers for _, numbers in fine], white=white)
    if fine:
        found += _twice(folder, [row for row, _ in fine])
    return found + patients(rows, folder)


def _numbers(row: Row, read: Read, unlabeled: int | None) -> set[int] | Issue:
    """Class numbers in a mask, or the problem with it."""
    try:
        return set(np.unique(read(row)).tolist()) - {unlabeled}
    except DataError as error:
        return finding_of(error, row.path, row.line or None)


def _empty(row: Row) -> Issue:
    what = "nothing is marked on it"
    return Issue("note", row.mask, row.line or None, what, "Fine if there is nothing to mark.")


def _twice(folder: Path, rows: Sequence[Row]) -> list[Issue]:
    notes = [note.removesuffix(": left out.") for note in once(rows)[2]]
    return [Issue("warning", folder / TABLE, None, what, "It is used once.") for what in notes]


def class_findings(folder: Path, masks: Sequence[set[int]], *, white: bool) -> list[Issue]:
    """What is wrong with the class numbers of all masks together."""
    indices = class_indices(masks, white=white)
    table, numbers = folder / TABLE, sorted(set().union(*masks))
    if len(indices) > MOST_CLASSES and max(indices.values()) >= MOST_CLASSES:
        what = f"its masks hold {len(numbers)} class numbers, {numbers[0]} to {numbers[-1]}"
        return [
            refusal(table, what, f"At most {MOST_CLASSES} are learned: join or leave out some.")
        ]
    if masks and (0 not in numbers or len(numbers) < 2):
        none = "no mask holds 0, which is background" if numbers != [0] else "nothing is marked"
        return [refusal(table, f"{none} (there is {numbers})", GREY)]
    counts = dict.fromkeys(range(1, max(indices.values(), default=0) + 1), 0)
    for each in masks:
        for index in {indices[number] for number in each} - {0}:
            counts[index] += 1
    named = {index: number for number, index in reversed(indices.items())}
    fix = "Mark it on at least a second one, unless the number is a slip."
    rare = [
        Issue("warning", table, None, f"class number {named[c]} is on {n} image(s)", fix)
        for c, n in counts.items()
        if n < 2
    ]
    return rare + _white_and_others(table, indices)


def _white_and_others(table: Path, indices: dict[int, int]) -> list[Issue]:
    """255 is white, or says "not labelled", in many programs: here it is a class like any other."""
    both = [number for number in WHITE if number in indices]
    if not both or len(set(indices.values())) < 3:
        return []
    what = f"{both[0]} is one class number among others: it is learned as a class of its own"
    return [Issue("warning", table, None, what, GREY)]
