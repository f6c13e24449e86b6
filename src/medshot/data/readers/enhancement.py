"""Reader of folders for enhancement: every image has a target image of the same scene.

Both are stored as crops at their own resolution.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.data.checks.issue import refusal
from medshot.data.dataset import Dataset
from medshot.data.io.image import decode
from medshot.data.io.pixels import window_of
from medshot.data.io.registry import image_format
from medshot.data.layouts.recognize import read_manifest
from medshot.data.readers.metadata import folder_metadata, once, read_rows
from medshot.data.readers.registry import reads
from medshot.data.readers.scalar import has_column, has_numbers
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, cells
from medshot.data.tables.paths import FileCells
from medshot.data.transforms import NativePreprocessing, busiest, eight_bits, enlarged, scaled
from medshot.tasks import Enhancement

COLUMN = "target"
LABELS = ("enhanced image",)


class Pair(NamedTuple):
    """Image, upsampled by `factor`, and its target: on one grid, in [0, 1]."""

    image: Float[ndarray, "h w c"]
    wanted: Float[ndarray, "h w d"]
    factor: int


def has_image_targets(folder: Path) -> bool:
    """Whether labels.csv has a column `target` that names image files, and none `label`."""
    if not has_column(folder, COLUMN) or has_numbers(folder):
        return False
    return any(image_format(Path(cell)) for cell in cells(table_in(folder), COLUMN))


@reads(Enhancement.kind, where=has_image_targets)
def enhanced(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the pairs of `folder` as crops; default 3 x 128 x 128."""
    files = FileCells(table_in(folder))
    listed = [
        replace(row, label="", clean=files.find(row.label, row.line))
        for row in read_manifest(folder, target=COLUMN)
    ]
    listed, everything = read_rows(listed, read_pair)
    kept, digests, twice = once(listed)
    rows, pairs = [listed[i] for i in kept], [everything[i] for i in kept]
    form = NativePreprocessing(channels or 3, size or 128, _factor(rows, pairs))
    x, y = squares(pairs, form)
    return Dataset(
        x=x,
        y=y,
        labels=LABELS,
        preprocessing=form,
        task=Enhancement(form.channels),
        read=read_squares,
        **folder_metadata(folder, rows, digests, notes=twice),
    )


def read_squares(
    rows: Sequence[Row], form: NativePreprocessing
) -> tuple[UInt8[Tensor, "n c s s"], UInt8[Tensor, "n c s s"]]:
    """Read crops of images and targets."""
    return squares([read_pair(row) for row in rows], form)


def squares(
    pairs: Sequence[Pair], form: NativePreprocessing
) -> tuple[UInt8[Tensor, "n c s s"], UInt8[Tensor, "n c s s"]]:
    """Crop each pair where the variance of the target is highest.

    The side is `form.size`, or that of the smallest image if it is less.
    """
    plain = replace(form, factor=1)
    side = min(form.size, *(n for pair in pairs for n in pair.wanted.shape[:2]))
    x, y = [], []
    for pair in pairs:
        given, clean = plain.fit(pair.image), plain.fit(pair.wanted)
        down, across = busiest(clean, side)
        x.append(eight_bits(given[:, down, across]))
        y.append(eight_bits(clean[:, down, across]))
    return torch.from_numpy(np.stack(x)), torch.from_numpy(np.stack(y))


def read_pair(row: Row) -> Pair:
    """Read the image and the target of one row in [0, 1], both scaled by the image's window.

    An image that is smaller by an integer factor is upsampled to the grid of its target.

    Raises:
        DataError: one cannot be read, there is no target, it is the same image, or it does not fit.
    """
    if row.clean is None:
        raise refusal(row.path, "it has no target", "Give it one in labels.csv.", row.line).error()
    given, wanted = decode(row.path), decode(row.clean)
    window = window_of(given)
    if given.dtype != wanted.dtype:
        what = f"its values are of the type {wanted.dtype}, and those of {row.path.name} are"
        fix = "Export both from the same program, so that equal values mean the same."
        raise refusal(row.clean, f"{what} {given.dtype}", fix, row.line or None).error()
    factor = _enlargement(row, given.shape, wanted.shape)
    image, target = scaled(given, *window), scaled(wanted, *window)
    if factor == 1 and given.shape == wanted.shape and (given == wanted).all():
        what = f"it holds the same pixels as its image {row.path.name}: nothing can be learned"
        raise refusal(row.clean, what, "Leave the row out.", row.line or None).error()
    return Pair(enlarged(image, factor) if factor > 1 else image, target, factor)


def _enlargement(row: Row, given: Sequence[int], wanted: Sequence[int]) -> int:
    """Integer scale factor of the target, equal along both axes."""
    factor = wanted[0] // given[0]
    if factor < 1 or (factor * given[0], factor * given[1]) != (wanted[0], wanted[1]):
        sizes = [" x ".join(map(str, shape[:2])) for shape in (wanted, given)]
        what = f"it has {sizes[0]} pixels, and its image {row.path.name} has {sizes[1]}"
        fix = "A target shows the same scene on the same grid, or on one 2, 3, ... times as fine."
        raise refusal(row.clean, what, fix, row.line or None).error()
    return factor


def _factor(rows: Sequence[Row], pairs: Sequence[Pair]) -> int:
    """The scale factor of the targets, the same for all pairs."""
    first = pairs[0].factor
    for row, pair in zip(rows, pairs, strict=True):
        if pair.factor != first:
            what = (
                f"its target is {pair.factor} times as large as it, and that of "
                f"{rows[0].path.name} {first} times"
            )
            raise refusal(row.path, what, "Use one factor a folder.", row.line or None).error()
    return first
