"""Checks of the rows of a table: patients, classes and images that may be the same.

They need names and hashes only, no pixels.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from medshot.data.checks.issue import TABLE, Issue, refusal
from medshot.data.io.registry import CODE
from medshot.data.tables.cells import (
    is_doubtful,
    is_missing,
    loose_key,
    several_spellings,
    spelled_alike,
)
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row

ALIKE = "Write them alike; if they are different patients, give them codes that differ otherwise."
LEAK = "A patient belongs to one part only: move all of a patient's images into one."


def duplicates(rows: Sequence[Row], digests: Sequence[str]) -> list[Issue]:
    """Errors for identical images with two labels, warnings for duplicates with one label."""
    first: dict[str, Row] = {}
    found = []
    for row, digest in zip(rows, digests, strict=True):
        other = first.setdefault(digest, row)
        if other.path != row.path:
            found.append(_pair(other, row))
    return found


def _pair(other: Row, row: Row) -> Issue:
    line = row.line or None
    if other.label != row.label:
        both = f"it ({row.label}) and {other.path} ({other.label})"
        what = f"{both} are the same image under two labels"
        fix = "Decide which one is right and remove the other."
        return refusal(row.path, what, fix, line, cause="two labels")
    what = f"it is the same image as {other.path}: it can be in both support and query"
    return Issue("warning", row.path, line, what, "Keep one of them.", cause="one label")


def patients(rows: Sequence[Row], folder: Path) -> list[Issue]:
    """Patient leaks and doubts: none known, some unknown, one in several classes or splits.

    Codes with one `loose_key` are one patient.
    """
    table = table_in(folder)
    where = table if table.is_file() else None
    unknown = sum(not row.patient for row in rows)
    if unknown == len(rows):
        what = "no patient is known: support and query may share one, and scores may be too good"
        fix = f"Add a column patient to {TABLE} (any code that is the same for all images of one)."
        return [Issue("warning", where, None, what, fix)]
    found = spellings(rows, where)
    code = {loose_key(row.patient): row.patient for row in reversed(rows)}
    if unknown:
        what = f"{unknown} of {len(rows)} images have no patient: each counts as one of its own"
        found.append(Issue("note", where, None, what, "Fill in the column if they are known."))
    if coded := {row.patient for row in rows if row.patient.startswith(CODE)}:
        what = f"{len(coded)} patient(s) are identified by a hash of PatientID in DICOM headers"
        fix = f"A column patient in {TABLE} says otherwise, if they are not who they seem."
        found.append(Issue("note", where, None, what, fix))
    labels, splits = defaultdict(list), defaultdict(list)
    for row in rows:
        if row.patient:
            patient = code[loose_key(row.patient)]
            labels[patient].append((row.label, row.line))
            splits[patient].append((row.split, row.line))
    both = _several(splits)
    if both:
        what = f"a leak: {len(both)} patient(s) are in several published splits, {_first(both)}"
        found.append(Issue("error", where, both[0][2], what, LEAK))
    mixed = _several(labels)
    if mixed:
        what = f"{len(mixed)} patient(s) are in several classes, {_first(mixed)}"
        found.append(Issue("note", where, mixed[0][2], what, "Correct if findings can differ."))
    return found


def spellings(rows: Sequence[Row], table: Path | None) -> list[Issue]:
    """A warning on patients whose code is written in several ways."""
    groups = spelled_alike(row.patient for row in rows if row.patient)
    if not groups:
        return []
    line = next(row.line for row in rows if row.patient == groups[0][-1])
    return [Issue("warning", table, line or None, several_spellings(groups), ALIKE)]


def _several(given: dict[str, list[tuple[str, int]]]) -> list[tuple[str, list[str], int | None]]:
    """Patients with more than one value, the values, and the line where it changes."""
    found = []
    for patient, cells in given.items():
        values = sorted({value for value, _ in cells if value})
        if len(values) > 1:
            first = next(value for value, _ in cells if value)
            line = next(line for value, line in cells if value not in ("", first))
            found.append((patient, values, line or None))
    return found


def _first(found: list[tuple[str, list[str], int | None]]) -> str:
    patient, values, _ = found[0]
    return f"first {patient!r} in {' and '.join(values)}"


def class_names(counts: Mapping[str, int]) -> list[Issue]:
    """Warnings on classes that may be one, and on names of what may be missing labels."""
    found = []
    for same in sorted(spelled_alike(counts)):
        names = ", ".join(map(repr, same))
        what = f"the classes {names} differ in case, spaces or punctuation only"
        found.append(Issue("warning", None, None, what, "Use one spelling if they are one."))
    signs = all(len(label) == 1 for label in counts)  # + and -
    for label in sorted(counts) if not signs else ():
        if is_missing(label) or is_doubtful(label):
            what = f"class {label!r} ({counts[label]}) may stand for labels that are missing"
            fix = "Remove those lines if so; it is learned as a class."
            found.append(Issue("warning", None, None, what, fix))
    return found
