"""Masks of several raters: joined by majority vote, and how well the raters agree."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import Issue
from medshot.data.io.image import WHITE
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, mask_columns
from medshot.tasks.segmentation import by_image, overlap_counts

TIED = 65_534  # number of a pixel without a label, where the folder names none; 65535 is white
JOINED = (
    "Their masks are joined by majority vote; pixels with a tie have no label and are not scored, "
    "which raises scores."
)


def apart(rows: Iterable[Row]) -> list[Row]:
    """One row for each mask: those of `Row.raters` in place of the row of an image."""
    return [each for row in rows for each in (row.raters or (row,))]


def regrouped(rows: Iterable[Row], masks: Iterable[Row]) -> list[Row]:
    """`rows` with the `masks`, one row each, into which `apart` took them."""
    rest = iter(masks)
    return [
        replace(row, raters=tuple(islice(rest, len(row.raters)))) if row.raters else next(rest)
        for row in rows
    ]


def voted(
    masks: Sequence[Integer[ndarray, "*s"]], unlabeled: int | None = None
) -> Integer[ndarray, "*s"]:
    """Majority vote at each pixel over masks of class numbers.

    Pixels of the number `unlabeled` have no vote. Where the most votes are tied, or there are none,
    it is `unlabeled`, or `TIED` if that is None.
    """
    none = TIED if unlabeled is None else unlabeled
    given = _alike(masks, none)
    found = np.full(given[0].shape, none, np.uint16)
    most = np.zeros(found.shape, np.uint16)
    for number in sorted(set().union(*(np.unique(mask).tolist() for mask in given)) - {none}):
        votes = np.zeros(found.shape, np.uint16)
        for mask in given:
            votes += mask == number
        found[(votes == most) & (votes > 0)] = none
        found[votes > most] = number
        most = np.maximum(most, votes)
    return found


def _alike(masks: Sequence[Integer[ndarray, "*s"]], none: int) -> Sequence[Integer[ndarray, "*s"]]:
    """`masks`, with one number for what is marked where one rater wrote 1 and another 255."""
    marked = [set(np.unique(mask).tolist()) - {0, none} for mask in masks]
    used = set().union(*marked)
    if len(used) < 2 or any(len(each) > 1 for each in marked) or not used <= {1, *WHITE}:
        return masks
    return [np.where((mask == 0) | (mask == none), mask, 1) for mask in masks]


def mean_pairwise_dice(
    masks: Sequence[Integer[ndarray, "*s"]], unlabeled: int | None = None
) -> float:
    """Dice score of the masks of an image, the mean over all pairs of raters.

    As `dice` of segmentation: the mean over the classes that either marked, 1 where neither did.
    Pixels that one of the two left without a label are not counted.
    """
    given = np.stack(
        [mask.ravel() for mask in _alike(masks, TIED if unlabeled is None else unlabeled)]
    )
    classes = sorted({0, *np.unique(given).tolist()} - {unlabeled})
    numbers = np.full(given.shape, -1)
    for c, number in enumerate(classes):
        numbers[given == number] = c
    scores = []
    for a, b in combinations(numbers, 2):
        known = (a >= 0) & (b >= 0)
        counts = overlap_counts(a[None, known], b[None, known], len(classes))
        scores.append(float(by_image(*counts)[0]))
    return float(np.mean(scores))


def agreement(
    folder: Path, rows: Sequence[Row], read: Callable[[Row], ndarray], unlabeled: int | None
) -> list[Issue]:
    """What is said of how well the raters of a folder agree; nothing where there is one only.

    `read` gives the class numbers of the mask of one rater. Images that it cannot read are left
    out: they are reported where they are read.
    """
    table = table_in(folder)
    raters = mask_columns(table)
    if len(raters) < 2 or not rows:
        return []

    def score(row: Row) -> float | None:
        try:
            return mean_pairwise_dice([read(each) for each in row.raters], unlabeled)
        except DataError:
            return None

    with ThreadPoolExecutor() as pool:
        scores = list(pool.map(score, (row for row in rows if row.raters)))
    known = [each for each in scores if each is not None]
    if not known:
        what = f"{len(raters)} raters marked no image in common: how well they agree is not known"
        return [Issue("note", table, None, what, "Let two of them mark the same few images.")]
    images = "1 image" if len(known) == 1 else f"{len(known)} images"
    what = f"{len(raters)} raters agree with a Dice of {np.mean(known):.2f} on {images}"
    what += ": a score above that means little"
    return [Issue("note", table, None, what, JOINED)]
