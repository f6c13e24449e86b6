"""Folders of images with any number of findings each."""

import re
from pathlib import Path

import torch

from medshot.data.finding import refusal
from medshot.data.folders.kinds import reads
from medshot.data.folders.whole_images import has_column, whole_images
from medshot.data.table import Row
from medshot.data.targeted import Found
from medshot.tasks import MultiLabel

COLUMN = "labels"
BETWEEN = re.compile("[;|]")
NOTHING = {"none", "normal", "no finding", "no findings"}


def has_findings(folder: Path) -> bool:
    """Whether labels.csv has a column `labels`, and none `label`."""
    return has_column(folder, COLUMN)


@reads(MultiLabel.kind, where=has_findings)
def found(folder: Path, channels: int | None, size: int | None) -> Found:
    """The images of `folder` with their findings: `edema;effusion`, or an empty cell for none.

    Between two findings stands `;` or `|`. `none`, `normal` and `no finding`, alone, say the same
    as an empty cell.
    """
    fields = whole_images(folder, COLUMN, channels, size, optional=True)
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
    return Found(y=y, labels=tuple(labels), **fields)


def findings_of(row: Row) -> set[str]:
    """The findings of one image. Raises `DataError` where it has some and is normal, too."""
    those = {part.strip() for part in BETWEEN.split(row.label)} - {""}
    nothing = {label for label in those if label.lower() in NOTHING}
    if nothing and those != nothing:
        what = f"it is said to be {min(nothing)!r} and {min(those - nothing)!r} at once"
        raise refusal(row.path, what, "Leave one of them out.", row.line or None).error()
    return those - nothing
