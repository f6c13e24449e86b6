"""Images that nothing is wrong with, to be degraded: any folder, whatever its targets are."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from medshot.data.enhanced import LABELS, Enhanced, Pair, squares
from medshot.data.finding import TABLE
from medshot.data.folders.about import about, digest, named
from medshot.data.manifest import read_manifest
from medshot.data.native import NativePreprocessing, scaled
from medshot.data.read import decode, window_of
from medshot.data.table import Row, columns_of

TARGETS = ("label", "mask", "target")


def clean_images(
    folder: str | Path, *, channels: int = 1, size: int = 128, most: int | None = None
) -> Enhanced:
    """The images of `folder` as pairs of equals: squares of `size` at their own resolution.

    At most `most` of them, drawn once and for all.

    Raises:
        DataError: as `medshot.load`.
    """
    folder = Path(folder)
    columns = columns_of(folder / TABLE)
    column = next((name for name in TARGETS if name in columns), "label")
    rows = read_manifest(folder, target=column)
    if most is not None and len(rows) > most:
        drawn = np.random.default_rng(0).permutation(len(rows))[:most]
        rows = [rows[i] for i in sorted(drawn)]
    with ThreadPoolExecutor() as pool:
        pairs = list(pool.map(lambda row: named(row, lambda: _twice(row)), rows))
    form = NativePreprocessing(channels, size)
    x, y = squares(pairs, form)
    known = about(folder, rows, [digest(row.path) for row in rows])
    del known["rows"]  # the files hold no pairs to read again
    return Enhanced(x=x, y=y, labels=LABELS, preprocessing=form, **known)


def _twice(row: Row) -> Pair:
    pixels = decode(row.path)
    values = scaled(pixels, *window_of(pixels))
    return Pair(values, values, 1)
