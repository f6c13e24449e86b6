"""Whom the images are from, as far as the table says."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from medshot.data.finding import TABLE, Finding
from medshot.data.table import Row

LEAK = "A patient belongs to one part only: move all of a patient's images into one."


def patients(rows: Sequence[Row], folder: Path) -> list[Finding]:
    """Leaks and doubts: nobody known, some unknown, one in several classes or parts."""
    table = folder / TABLE
    where = table if table.is_file() else None
    unknown = sum(not row.patient for row in rows)
    if unknown == len(rows):
        what = "no patient is known: support and query may share one, and scores be too good"
        mend = f"Add a column patient to {TABLE} (any code that is the same for all images of one)."
        return [Finding("warning", where, None, what, mend)]
    found = []
    if unknown:
        what = f"{unknown} of {len(rows)} images have no patient: each counts as one of its own"
        found.append(Finding("note", where, None, what, "Fill in the column if they are known."))
    labels, splits = defaultdict(list), defaultdict(list)
    for row in rows:
        if row.patient:
            labels[row.patient].append((row.label, row.line))
            splits[row.patient].append((row.split, row.line))
    both = _several(splits)
    if both:
        what = f"a leak: {len(both)} patient(s) are in several published splits, {_first(both)}"
        found.append(Finding("error", where, both[0][2], what, LEAK))
    mixed = _several(labels)
    if mixed:
        what = f"{len(mixed)} patient(s) are in several classes, {_first(mixed)}"
        found.append(Finding("note", where, mixed[0][2], what, "Correct if findings can differ."))
    return found


def _several(said: dict[str, list[tuple[str, int]]]) -> list[tuple[str, list[str], int | None]]:
    """The patients of whom more than one thing is said, what, and in which line it changes."""
    found = []
    for patient, told in said.items():
        values = sorted({value for value, _ in told if value})
        if len(values) > 1:
            first = next(value for value, _ in told if value)
            line = next(line for value, line in told if value not in ("", first))
            found.append((patient, values, line or None))
    return found


def _first(found: list[tuple[str, list[str], int | None]]) -> str:
    patient, values, _ = found[0]
    return f"first {patient!r} in {' and '.join(values)}"
