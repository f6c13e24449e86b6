"""One folder of images in memory: with a label each, or with a mask each."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.duplicates import duplicates
from medshot.data.finding import finding_of
from medshot.data.manifest import read_manifest
from medshot.data.masks import fit_mask
from medshot.data.preprocess import ImagePreprocessing
from medshot.data.segmented import Segmented, read_pair
from medshot.data.sources import omniglot
from medshot.data.table import Row

Result = TypeVar("Result")

SAID = 3  # images that are there twice, by name


def labelled(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """The images of `folder` with a label each."""
    if omniglot.recognises(folder):
        return omniglot.load(folder, channels=channels or 1, size=size or 28)
    form = ImagePreprocessing(channels=channels or 3, size=size or 64)
    rows = read_manifest(folder)
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda row: _read(row, form), rows))
    digests = [digest for _, digest in read]
    refuse_two_labels(rows, digests)
    labels = tuple(sorted({row.label for row in rows}))
    return Dataset(
        x=torch.from_numpy(np.stack([pixels for pixels, _ in read])),
        y=torch.tensor([labels.index(row.label) for row in rows]),
        labels=labels,
        preprocessing=form,
        **_about(folder, rows, digests),
    )


def masked(folder: Path, channels: int | None, size: int | None) -> Segmented:
    """The images of `folder` with a mask each."""
    form = ImagePreprocessing(channels=channels or 3, size=size or 128)
    listed = read_manifest(folder, target="mask")
    with ThreadPoolExecutor() as pool:
        everything = list(pool.map(lambda row: _read_masked(row, form), listed))
    kept, digests, twice = _once(listed)
    rows, read = [listed[i] for i in kept], [everything[i] for i in kept]
    k = max(highest for _, _, highest in read) + 1
    labels = ("background", "foreground") if k == 2 else ("background", *map(str, range(1, k)))
    return Segmented(
        x=torch.from_numpy(np.stack([pixels for pixels, _, _ in read])),
        y=torch.from_numpy(np.stack([mask for _, mask, _ in read])),
        labels=labels,
        preprocessing=form,
        **_about(folder, rows, digests, notes=twice),
    )


def _about(
    folder: Path, rows: Sequence[Row], digests: Sequence[str], notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    patients = sorted({row.patient for row in rows if row.patient})
    number = {patient: i for i, patient in enumerate(patients)} | {"": -1}
    return {
        "name": folder.resolve().name,
        "groups": torch.tensor([number[row.patient] for row in rows]),
        "hash": _hash(rows, digests, folder),
        "split": tuple(row.split for row in rows),
        "rows": tuple(rows),
        "licence": _licence(folder),
        "notes": notes if patients else ("No patient ids: scores may be optimistic.", *notes),
    }


def refuse_two_labels(rows: Sequence[Row], digests: Sequence[str]) -> None:
    """Raise `DataError` if one and the same file content carries two labels."""
    for finding in duplicates(rows, digests):
        if finding.severity == "error":
            raise finding.error()


def _read(row: Row, form: ImagePreprocessing) -> tuple[np.ndarray, str]:
    return _named(row, lambda: form.pixels(row.path)), _digest(row.path)


def _read_masked(row: Row, form: ImagePreprocessing) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels, mask, and the highest number in the file: a small form may lose a small mark."""
    pixels, mask = _named(row, lambda: read_pair(row))
    return form.fit(pixels), fit_mask(mask, form.size), int(mask.max())


def _once(rows: Sequence[Row]) -> tuple[list[int], list[str], tuple[str, ...]]:
    """Where the images are that are not there already, their contents, and what was left out.

    One image with two masks (of two readers, say) would be in both support and query.
    """
    first: dict[str, tuple[int, str]] = {}
    twice = []
    for i, row in enumerate(rows):
        image, mask = _digest(row.path), _digest(row.mask) if row.mask else ""
        other, same = first.setdefault(image, (i, mask))
        if other != i:
            but = "" if mask == same else ", with another mask"
            twice.append(f"{row.path.name} is the same image as {rows[other].path.name}{but}")
    kept, masks = zip(*first.values(), strict=True)
    digests = [image + mask for image, mask in zip(first, masks, strict=True)]
    if not twice:
        return list(kept), digests, ()
    more = f"; and {len(twice) - SAID} others" if len(twice) > SAID else ""
    return list(kept), digests, (f"{'; '.join(twice[:SAID])}{more}: left out.",)


def _named(row: Row, read: Callable[[], Result]) -> Result:
    """What `read` gives; its errors name the line of the table."""
    try:
        return read()
    except DataError as error:
        raise finding_of(error, row.path, row.line or None).error() from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
