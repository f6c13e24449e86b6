"""Folders of images with a number each."""

from pathlib import Path

import torch

from medshot.data.finding import TABLE, refusal
from medshot.data.folders.kinds import reads
from medshot.data.folders.whole_images import NUMBER, has_column, whole_images
from medshot.data.folders.whole_images import number as number_of
from medshot.data.table import cells
from medshot.data.targeted import Measured
from medshot.tasks import Regression

COLUMN = "target"


def has_numbers(folder: Path) -> bool:
    """Whether labels.csv has a column `target` with numbers, and none `label`.

    One number is enough: that another cell is none is to be told as such.
    """
    written = cells(folder / TABLE, COLUMN) if has_column(folder, COLUMN) else []
    return any(NUMBER.fullmatch(text) for text in written)


@reads(Regression.kind, where=has_numbers)
def measured(folder: Path, channels: int | None, size: int | None) -> Measured:
    """The images of `folder` with a number each, in the unit in which they are written."""
    fields = whole_images(folder, COLUMN, channels, size)
    values = [number_of(row) for row in fields["rows"]]
    if len(set(values)) == 1:
        what = f"every image has the target {values[0]:g}: there is nothing to learn"
        raise refusal(folder, what, "Add images with other values.").error()
    y = torch.tensor(values, dtype=torch.float64)[:, None]
    return Measured(y=y, labels=(COLUMN,), **fields)
