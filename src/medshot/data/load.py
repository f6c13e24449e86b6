"""`medshot.load`: folders of labelled images to data sets."""

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import overload

import numpy as np
import torch

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.duplicates import duplicates
from medshot.data.finding import finding_of
from medshot.data.manifest import read_manifest
from medshot.data.preprocess import ImagePreprocessing
from medshot.data.sources import omniglot
from medshot.data.table import Row


@overload
def load(
    folder: str | Path, /, *, channels: int | None = ..., size: int | None = ...
) -> Dataset: ...
@overload
def load(
    folder: str | Path,
    second: str | Path,
    /,
    *more: str | Path,
    channels: int | None = ...,
    size: int | None = ...,
) -> list[Dataset]: ...


def load(
    *folders: str | Path, channels: int | None = None, size: int | None = None
) -> Dataset | list[Dataset]:
    """The data set in a folder; for several folders, a list of them.

    A folder has labels.csv (path,label[,patient,split]) or one sub-folder a class, or the zips
    of Omniglot. Images are kept as 8-bit tensors of `channels` x `size` x `size`, 3 x 64 x 64 if
    not told (Omniglot: 1 x 28 x 28); a learner that wants another form asks for it by itself.

    Raises:
        DataError: what is wrong, in which file, and what to do.
    """
    if not folders:
        raise DataError("Name at least one folder: medshot.load('my_images').")
    loaded = [load_one(Path(folder), channels, size) for folder in folders]
    return loaded[0] if len(loaded) == 1 else loaded


def load_one(folder: Path, channels: int | None = None, size: int | None = None) -> Dataset:
    """The data set in one folder."""
    if omniglot.recognises(folder):
        return omniglot.load(folder, channels=channels or 1, size=size or 28)
    form = ImagePreprocessing(channels=channels or 3, size=size or 64)
    rows = read_manifest(folder)
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda row: _read(row, form), rows))
    digests = [digest for _, digest in read]
    refuse_two_labels(rows, digests)
    labels = tuple(sorted({row.label for row in rows}))
    patients = sorted({row.patient for row in rows if row.patient})
    number = {patient: i for i, patient in enumerate(patients)} | {"": -1}
    return Dataset(
        name=folder.resolve().name,
        x=torch.from_numpy(np.stack([pixels for pixels, _ in read])),
        y=torch.tensor([labels.index(row.label) for row in rows]),
        labels=labels,
        groups=torch.tensor([number[row.patient] for row in rows]),
        preprocessing=form,
        hash=_hash(rows, digests, folder),
        split=tuple(row.split for row in rows),
        rows=tuple(rows),
        licence=_licence(folder),
        notes=() if patients else ("No patient ids: scores may be optimistic.",),
    )


def refuse_two_labels(rows: Sequence[Row], digests: Sequence[str]) -> None:
    """Raise `DataError` if one and the same file content carries two labels."""
    for finding in duplicates(rows, digests):
        if finding.severity == "error":
            raise finding.error()


def _read(row: Row, form: ImagePreprocessing) -> tuple[np.ndarray, str]:
    try:
        pixels = form.pixels(row.path)
    except DataError as error:
        raise finding_of(error, row.path, row.line or None).error() from error
    return pixels, hashlib.sha256(row.path.read_bytes()).hexdigest()


def _hash(rows: Sequence[Row], digests: Sequence[str], folder: Path) -> str:
    lines = sorted(
        f"{row.path.relative_to(folder).as_posix()}\t{row.label}\t{row.patient}\t{digest}"
        for row, digest in zip(rows, digests, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _licence(folder: Path) -> str:
    readme = folder / "README.md"
    if not readme.is_file():
        return "not stated"
    text = readme.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^#+\s*Licen[cs]e\s*\n+(.+?)(?=\n#|\Z)", text, re.M | re.S | re.I)
    return " ".join(found[1].split())[:300] if found else "not stated"
