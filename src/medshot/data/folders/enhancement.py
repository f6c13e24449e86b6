"""Folders of images with a target each that is an image: the same scene as it should look."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medshot.data.enhanced import LABELS, Enhanced, Pair, read_pair, squares
from medshot.data.finding import TABLE, refusal
from medshot.data.folders.about import about, named
from medshot.data.folders.kinds import reads
from medshot.data.folders.once import once
from medshot.data.manifest import is_image, read_manifest
from medshot.data.native import NativePreprocessing
from medshot.data.table import Row, cells, columns_of
from medshot.tasks import Enhancement


def has_image_targets(folder: Path) -> bool:
    """Whether labels.csv has a column `target` that names image files, and none `label`."""
    columns = columns_of(folder / TABLE)
    if "target" not in columns or "label" in columns:
        return False
    return any(is_image(Path(cell)) for cell in cells(folder / TABLE, "target"))


@reads(Enhancement.kind, where=has_image_targets)
def enhanced(folder: Path, channels: int | None, size: int | None) -> Enhanced:
    """The pairs of `folder`: squares of 3 x 128 x 128 where no form is asked for."""
    listed = read_manifest(folder, target="target")
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
