"""Folders of images with a grade each."""

from pathlib import Path

import torch

from medshot.data.finding import refusal
from medshot.data.folders.kinds import reads
from medshot.data.folders.whole_images import has_column, number, whole_images
from medshot.data.targeted import Graded
from medshot.tasks import Ordinal

COLUMN = "grade"
MOST = 20  # different grades: more are measurements


def has_grades(folder: Path) -> bool:
    """Whether labels.csv has a column `grade`, and none `label`."""
    return has_column(folder, COLUMN)


@reads(Ordinal.kind, where=has_grades)
def graded(folder: Path, channels: int | None, size: int | None) -> Graded:
    """The images of `folder` with a grade each: numbers, whose order is that of the grades.

    How far two numbers are apart says nothing: of 0, 1 and 4 each is one grade above the last.
    """
    fields = whole_images(folder, COLUMN, channels, size)
    values = [number(row) for row in fields["rows"]]
    grades = sorted(set(values))
    if not 2 <= len(grades) <= MOST:
        what = f"it has {len(grades)} different grade(s), not 2 to {MOST}"
        mend = "Add images of another grade; for a measurement say --task regression."
        raise refusal(folder, what, mend).error()
    y = torch.tensor([grades.index(value) for value in values])
    return Graded(y=y, labels=tuple(f"{grade:g}" for grade in grades), **fields)
