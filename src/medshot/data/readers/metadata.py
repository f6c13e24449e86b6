"""Metadata of a folder whatever its targets are (patients, hash, license), without duplicates."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import torch

from medshot.core import DataError
from medshot.data.checks.issue import Issue, finding_of
from medshot.data.checks.rows import duplicates, spellings
from medshot.data.checks.skip import skip_or_raise
from medshot.data.io.registry import CODE, files_of
from medshot.data.layouts.content import BOXES, LABEL, MASK, DrawnRow
from medshot.data.layouts.recognize import content_of
from medshot.data.tables.cells import patient_numbers
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, remarks

Result = TypeVar("Result")
SHORT = 16  # hexadecimal digits of a hash: a collision among 1e6 images has probability 3e-8


def folder_metadata(
    folder: Path, rows: Sequence[Row], digests: Sequence[str], notes: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Common fields of every data set from a folder, as keyword arguments.

    Each of the `digests` starts with that of the image.
    """
    patients = {row.patient for row in rows if row.patient}
    if any(patient.startswith(CODE) for patient in patients):
        said = f"{len(patients)} patient(s) by a hash of PatientID in DICOM headers."
        notes = (said, *notes)
    if content := content_of(folder):
        masks, labels = any(row.mask for row in rows), any(row.label for row in rows)
        notes = (*content.notes_of(MASK if masks else LABEL if labels else BOXES), *notes)
    table = table_in(folder)
    doubts = [*remarks(table), *spellings(rows, table)] if table.is_file() else []
    notes = (*(doubt.sentence for doubt in doubts), *notes)
    groups = patient_numbers([row.patient for row in rows])
    return {
        "name": folder.resolve().name,
        "groups": torch.tensor(groups),
        "hash": _hash(rows, digests, folder),
        "split": tuple(row.split for row in rows),
        "rows": tuple(rows),
        "contents": tuple(digest[:SHORT] for digest in digests),
        "licence": _licence(folder),
        "notes": notes
        if max(groups) >= 0
        else ("No patient ids: scores may be optimistic.", *notes),
    }


def refuse_two_labels(rows: Sequence[Row], digests: Sequence[str]) -> list[int]:
    """Indices of the rows to keep: without identical files that have different labels.

    Raises:
        DataError: there are such files, and bad rows are not skipped.
    """
    wrong = [each for each in duplicates(rows, digests) if each.severity == "error"]
    skip_or_raise(wrong)
    labels: dict[str, set[str]] = {}
    for row, digest in zip(rows, digests, strict=True):
        labels.setdefault(digest, set()).add(row.label)
    one = [i for i, digest in enumerate(digests) if len(labels[digest]) == 1]
    return one if wrong else list(range(len(rows)))


def read_rows(rows: Sequence[Row], read: Callable[[Row], Result]) -> tuple[list[Row], list[Result]]:
    """Read every row, in threads: the rows, and what `read` gives for each.

    Where bad rows are skipped, without those that cannot be read.

    Raises:
        DataError: the first that cannot be read, with the line of the table; or none can.
    """

    def attempt(row: Row) -> Result | Issue:
        try:
            return read(row)
        except DataError as error:
            return finding_of(error, row.path, row.line or None)

    with ThreadPoolExecutor() as pool:
        found = list(pool.map(attempt, rows))
    bad = [each for each in found if isinstance(each, Issue)]
    skip_or_raise(bad)
    if bad and len(bad) == len(rows):
        raise bad[0].error()
    pairs = [
        (row, each) for row, each in zip(rows, found, strict=True) if not isinstance(each, Issue)
    ]
    return [row for row, _ in pairs], [each for _, each in pairs]


def digest(path: Path) -> str:
    """Hash of the content of a file, or of the files of a folder (a DICOM series) in it."""
    found = hashlib.sha256()
    for file in files_of(path):
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


SAID = 3  # duplicate images that a note names


def _targets(row: Row) -> tuple[Path, ...]:
    """Files of the masks or the clean image of a row."""
    if row.raters:
        return tuple(file for each in row.raters for file in _targets(each))
    if isinstance(row, DrawnRow) and row.files:
        return row.files
    target = row.mask or row.clean
    return (target,) if target else ()


def once(rows: Sequence[Row]) -> tuple[list[int], list[str], tuple[str, ...]]:
    """Drop duplicate images: indices of the rest, their hashes, and a note on what was dropped.

    Of an image with two masks (of two readers, for example) or targets, the first is kept.
    """
    first: dict[str, tuple[int, str]] = {}
    twice = []
    for i, row in enumerate(rows):
        image, mask = digest(row.path), "".join(map(digest, _targets(row)))
        other, same = first.setdefault(image, (i, mask))
        if other != i:
            but = "" if mask == same else f", with another {'mask' if row.mask else 'target'}"
            twice.append(f"{row.path.name} is the same image as {rows[other].path.name}{but}")
    kept, masks = zip(*first.values(), strict=True)
    digests = [image + mask for image, mask in zip(first, masks, strict=True)]
    if not twice:
        return list(kept), digests, ()
    more = f"; and {len(twice) - SAID} others" if len(twice) > SAID else ""
    return list(kept), digests, (f"{'; '.join(twice[:SAID])}{more}: left out.",)
