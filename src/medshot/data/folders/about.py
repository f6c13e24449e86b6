"""What is known of a folder's images whatever their targets are: patients, hash, licence."""

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from medshot.core.errors import DataError
from medshot.data.duplicates import duplicates
from medshot.data.finding import finding_of
from medshot.data.table import Row

Result = TypeVar("Result")
SHORT = 16  # hexadecimal digits: two of a million images are alike by chance once in 4e7 times


def about(
    folder: Path, rows: Sequence[Row], digests: Sequence[str], notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The fields that every data set of a folder has, by name.

    Each of the `digests` begins with that of the image.
    """
    patients = sorted({row.patient for row in rows if row.patient})
    number = {patient: i for i, patient in enumerate(patients)} | {"": -1}
    return {
        "name": folder.resolve().name,
        "groups": torch.tensor([number[row.patient] for row in rows]),
        "hash": _hash(rows, digests, folder),
        "split": tuple(row.split for row in rows),
        "rows": tuple(rows),
        "contents": tuple(digest[:SHORT] for digest in digests),
        "licence": _licence(folder),
        "notes": notes if patients else ("No patient ids: scores may be optimistic.", *notes),
    }


def refuse_two_labels(rows: Sequence[Row], digests: Sequence[str]) -> None:
    """Raise `DataError` if one and the same file content carries two labels."""
    for finding in duplicates(rows, digests):
        if finding.severity == "error":
            raise finding.error()


def named(row: Row, read: Callable[[], Result]) -> Result:
    """What `read` gives; its errors name the line of the table."""
    try:
        return read()
    except DataError as error:
        raise finding_of(error, row.path, row.line or None).error() from error


def digest(path: Path) -> str:
    """A hash of what is in the file, or in all files of a folder (a DICOM series)."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()


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
