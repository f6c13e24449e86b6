"""Folders of images with a target each that is an image: the same scene as it should look."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from medshot.data.checks.issue import TABLE, refusal
from medshot.data.enhanced import LABELS, Enhanced, Pair, read_pair, squares
from medshot.data.io.registry import image_format
from medshot.data.readers.metadata import about, named, once
from medshot.data.readers.registry import reads
from medshot.data.readers.scalar import has_column, has_numbers
from medshot.data.tables.labels import Row, cells, inside, outside
from medshot.data.tables.manifest import read_manifest
from medshot.data.transforms import NativePreprocessing
from medshot.tasks import Enhancement

COLUMN = "target"


def has_image_targets(folder: Path) -> bool:
    """Whether labels.csv has a column `target` that names image files, and none `label`."""
    if not has_column(folder, COLUMN) or has_numbers(folder):
        return False
    return any(image_format(Path(cell)) for cell in cells(folder / TABLE, COLUMN))


@reads(Enhancement.kind, where=has_image_targets)
def enhanced(folder: Path, channels: int | None, size: int | None) -> Enhanced:
    """The pairs of `folder`: squares of 3 x 128 x 128 where no form is asked for."""
    listed = [_with_target(row, folder) for row in read_manifest(folder, target=COLUMN)]
    with ThreadPoolExecutor() as pool:
        everything = list(pool.map(lambda row: named(row, lambda: read_pair(row)), listed))
    kept, digests, twice = once(listed)
    rows, pairs = [listed[i] for i in kept], [everything[i] for i in kept]
    form = NativePreprocessing(channels or 3, size or 128, _factor(rows, pairs))
    x, y = squares(pairs, form)
    return Enhanced(
        x=x,
        y=y,
        labels=LABELS,
        preprocessing=form,
        **about(folder, rows, digests, notes=twice),
    )


def _with_target(row: Row, folder: Path) -> Row:
    """The row, its target being a file in `folder`."""
    clean = folder / row.label
    if Path(row.label).is_absolute() or not inside(clean, folder):
        raise outside(folder / TABLE, row.label, row.line).error()
    return replace(row, label="", clean=clean)


def _factor(rows: Sequence[Row], pairs: Sequence[Pair]) -> int:
    """The one factor by which targets are larger."""
    first = pairs[0].factor
    for row, pair in zip(rows, pairs, strict=True):
        if pair.factor != first:
            what = (
                f"its target is {pair.factor} times as large as it, and that of "
                f"{rows[0].path.name} {first} times"
            )
            raise refusal(row.path, what, "One factor a folder, please.", row.line or None).error()
    return first
