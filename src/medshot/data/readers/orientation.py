"""Orientation marks of photographs (EXIF, TIFF) whose masks carry none.

An image is turned upright by its mark. A mask without one was drawn on the picture as stored, or on
the upright one: the sizes tell, or else what is marked differs from the rest in one reading only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import Issue
from medshot.data.io.image import orientation_mark, read_image, read_mask
from medshot.data.io.raster import TURNS
from medshot.data.tables.labels import Row

SIDE = 128  # pixels at which gray values are compared
CLEAR = 0.05  # difference of the explained variances, on average, that decides
MOST = 0.75  # of the images must agree


def upright(
    mask: Integer[ndarray, "h w"], row: Row, shape: tuple[int, ...], *, turned: bool
) -> Integer[ndarray, "u v"]:
    """The mask of `row` on its upright image of `shape`; `turned` decides where both ways fit."""
    mark = orientation_mark(row.path)
    if mark == 1 or row.mask is None or orientation_mark(row.mask) != 1:
        return mask
    moved = TURNS[mark](mask)
    if moved.shape == shape and (turned or mask.shape != shape):
        return np.ascontiguousarray(moved)
    return mask


@dataclass(frozen=True)
class MaskSide:
    """How masks without a mark lie to images with one; `turned`: as stored, where both ways fit."""

    turned: bool = False
    issue: Issue | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a data set says of it."""
        return (self.issue.sentence,) if self.issue else ()


def side_of(rows: Sequence[Row]) -> MaskSide:
    """Tell from all images with a mark whether their masks lie as stored, or upright."""
    marked = [
        row
        for row in rows
        if row.mask
        and orientation_mark(row.path) != 1
        and row.path.is_file()
        and orientation_mark(row.mask) == 1
    ]
    stored, straight, both = [], [], []  # fit only as stored, only upright, both ways
    for row in marked:
        try:
            pixels, mask = read_image(row.path), read_mask(row.mask or row.path)
        except DataError:  # reported where it is read
            continue
        ways = _fits(mask, TURNS[orientation_mark(row.path)](mask), pixels)
        straight += [row] if ways == (True, False) else []
        stored += [row] if ways == (False, True) else []
        both += [(row, pixels, mask)] if all(ways) else []
    n = len(stored) + len(straight) + len(both)
    if not n:
        return MaskSide()
    what = f"{n} image(s) carry an orientation mark and their masks do not"
    first = (stored + [row for row, _, _ in both] + straight)[0]
    if not both and not stored:
        fix = "Their sizes fit the upright picture only: the masks are used as they are."
        return MaskSide(issue=Issue("note", first.path, first.line or None, what, fix))
    if not both:
        said, turned = "their sizes fit the picture as stored only", True
    elif bool(stored) != bool(straight):
        said, turned = "the sizes of others in the folder fit one way only", bool(stored)
    else:
        turned, said = _by_content(both)
    on = "picture as stored, and turned with it" if turned else "upright picture, and not turned"
    what += f": they are taken as drawn on the {on} ({said})"
    fix = "Look at one in a viewer. Save images upright, without the mark, to be sure."
    return MaskSide(turned, Issue("warning", first.path, first.line or None, what, fix))


def _fits(mask: ndarray, moved: ndarray, pixels: ndarray) -> tuple[bool, bool]:
    return mask.shape == pixels.shape[:2], moved.shape == pixels.shape[:2]


def _by_content(both: Sequence[tuple[Row, ndarray, ndarray]]) -> tuple[bool, str]:
    """Whether masks explain the gray values of their images better when they are turned."""
    gains = np.array(
        [
            explained_variance(pixels, TURNS[orientation_mark(row.path)](mask))
            - explained_variance(pixels, mask)
            for row, pixels, mask in both
        ]
    )
    if abs(gains.mean()) < CLEAR or max((gains > 0).mean(), (gains < 0).mean()) < MOST:
        return False, "both ways fit: drawn on the picture as stored, or upright?"
    return bool(gains.mean() > 0), "what they mark differs from the rest only so"


def explained_variance(pixels: Integer[ndarray, "h w c"], mask: Integer[ndarray, "h w"]) -> float:
    """Share of the variance of gray values that lies between the classes of a mask."""
    step = max(1, max(mask.shape) // SIDE)
    gray, classes = pixels[::step, ::step].mean(2), mask[::step, ::step]
    total = gray.var()
    within = sum(gray[classes == c].var() * (classes == c).mean() for c in np.unique(classes))
    return float(1 - within / total) if total else 0.0
