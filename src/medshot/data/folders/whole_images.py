"""What folders have in common whose images have a target each that is no class and no mask."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medshot.data.finding import TABLE, refusal
from medshot.data.folders.about import about, digest, named, refuse_two_labels
from medshot.data.folders.once import once
from medshot.data.manifest import read_manifest
from medshot.data.preprocess import ImagePreprocessing
from medshot.data.table import Row, columns_of

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
LARGEST = 1e12  # what is larger is an identifier or a mistake, and no measurement


def has_column(folder: Path, column: str) -> bool:
    """Whether labels.csv has `column`, and none `label`."""
    columns = columns_of(folder / TABLE)
    return column in columns and "label" not in columns


def whole_images(
    folder: Path, column: str, channels: int | None, size: int | None, *, optional: bool = False
) -> dict[str, Any]:
    """The fields of a data set but its targets, which stand in `row.label` as they were written.

    They are read from `column`, or where there is none from `label` (or the names of sub-folders),
    where somebody may have them who says the kind of task. An image that is there twice is taken
    once. Images are 3 x 64 x 64 where no form is asked for.

    Raises:
        DataError: what is wrong with the table or an image; one image with two targets.
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
        **about(folder, [rows[i] for i in kept], digests, notes=twice),
    }


def number(row: Row) -> float:
    """The target of a row as a number. Raises `DataError` where it is none."""
    text = row.label
    if not NUMBER.fullmatch(text):
        what = f"its target is {text!r}, which is no number"
        mend = "Write it like 12 or 3.5, with a point and no unit, or leave the row out."
        raise refusal(row.path, what, mend, row.line or None).error()
    if not abs(float(text)) <= LARGEST:
        mend = "Give it in another unit; an identifier is nothing to learn."
        raise refusal(row.path, f"its target is {text}, too large", mend, row.line or None).error()
    return float(text)
