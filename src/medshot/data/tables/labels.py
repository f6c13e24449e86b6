"""labels.csv: images with their labels, and the problems of invalid lines."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medshot.core import DataError
from medshot.data.checks.issue import Issue, finding_of, refusal, together
from medshot.data.tables.cells import clean, is_missing, patient_code
from medshot.data.tables.delimited import GUESS, Line, read_delimited
from medshot.data.tables.paths import FileCells

MASKS = "For masks use `--task segmentation`; or add a column label."
FILES = {"path", "mask"}  # columns that name files
LONGEST = 1000  # characters of a label


@dataclass(frozen=True)
class Row:
    """One image: its file, its label, and other metadata."""

    path: Path
    label: str
    patient: str = ""
    split: str = ""
    line: int = 0  # in labels.csv; 0 for class folders
    mask: Path | None = None
    clean: Path | None = None  # target image, for enhancement


def columns_of(table: Path) -> tuple[str, ...]:
    """Column names; empty if the table cannot be read."""
    try:
        return read_delimited(table).columns
    except DataError:
        return ()


def cells(table: Path, column: str) -> list[str]:
    """Cells of one column that are not missing; empty if it cannot be read."""
    try:
        lines = read_delimited(table).lines
    except DataError:
        return []
    found = [line.cells.get(column, "") for line in lines]
    found = [cell.strip() if column in FILES else clean(cell) for cell in found]
    return [cell for cell in found if not is_missing(cell)]


def masks_of(table: Path) -> list[Path]:
    """The files in the column `mask`."""
    files, found = FileCells(table), []
    for cell in cells(table, "mask"):
        with contextlib.suppress(DataError):
            found.append(files.find(cell, 0))
    return found


def read_table(
    table: Path, target: str = "label", *, optional: bool = False
) -> tuple[list[Row], list[Issue]]:
    """Valid rows, and the problems of the others: one for each cause.

    `target` is the column required in addition to `path`: label, mask, or the task's own; or `path`
    itself. If `optional`, its cells may be empty.
    """
    try:
        found = read_delimited(table)
    except DataError as error:
        return [], [finding_of(error, table)]
    if wrong := _columns(found.columns, table, target):
        return [], [*found.issues, wrong]
    files = FileCells(table)
    rows: list[Row] = []
    problems: list[Issue] = []
    for line in found.lines:
        try:
            rows.append(_row(line, target, files, optional=optional))
        except DataError as error:
            problems.append(finding_of(error, table))
    problems += shifted(found.lines, table)
    return rows, [*found.issues, *together(problems), *_twice(rows, table), *files.issues()]


def remarks(table: Path) -> list[Issue]:
    """Warnings about how a table is read: its encoding, and paths that only nearly fit."""
    try:
        found = read_delimited(table)
    except DataError:
        return []
    files = FileCells(table)
    for line in found.lines:
        if cell := line.cells.get("path", "").strip():
            with contextlib.suppress(DataError):
                files.find(cell, line.number)
    return [each for each in (*found.issues, *files.issues()) if each.severity == "warning"]


def shifted(lines: Iterable[Line], table: Path) -> list[Issue]:
    """Lines with more cells than columns: where the others belong is not known."""
    fix = 'A number has a point, 3.5, and a comma in a cell needs quotes, "a, b.png".'
    what = "it has more cells than columns"
    return [refusal(table, what, fix, line.number) for line in lines if line.extra]


def _columns(columns: tuple[str, ...], table: Path, target: str) -> Issue | None:
    if columns.count(target) > 1:  # a column of a task that is not ours
        what = f"{columns.count(target)} columns are called {target}"
        return refusal(table, what, "Keep one of them, or rename the others.")
    absent = {"path", target} - set(columns)
    if not absent:
        return None
    if absent == {"label"} and "mask" in columns:
        return refusal(table, "it has masks, not labels", MASKS)
    return refusal(
        table,
        f"it has no column {' or '.join(sorted(absent))} (it has: {', '.join(columns) or 'none'})",
        f"Its first line should be: {','.join(dict.fromkeys(('path', target, 'patient')))}",
    )


def _row(line: Line, target: str, files: FileCells, *, optional: bool) -> Row:
    label = clean(line.cells[target])
    needed = {"path": line.cells["path"].strip()} | ({} if target == "path" else {target: label})
    refuse_missing(needed, files.table, line.number, empty=(target,) if optional else ())
    path = files.find(needed["path"], line.number)
    mask = files.find(line.cells["mask"], line.number) if target == "mask" else None
    guesses = [patient_code(cell) for name, cell in line.cells.items() if name.endswith(GUESS)]
    patient = patient_code(line.cells.get("patient", "")) or next(iter(guesses), "")
    if target in FILES:
        label = clean(line.cells.get("label", ""))
    return Row(path, label, patient, clean(line.cells.get("split", "")), line.number, mask)


def refuse_missing(
    given: Mapping[str, str], table: Path, line: int, *, empty: Sequence[str] = ()
) -> None:
    """Raise `DataError` if cells are missing; those of the columns `empty` may be empty."""
    none = [column for column, cell in given.items() if not cell and column not in empty]
    if none:
        what = f"{' and '.join(none)} is empty"
        raise refusal(table, what, "Fill it in or remove the line.", line).error()
    for column, cell in given.items():
        if cell and is_missing(cell):
            what = f"{column} is {cell!r}, which programs write for a value that is missing"
            fix = "Fill it in or remove the line; if it is meant so, use another word."
            raise refusal(table, what, fix, line).error()
        if len(cell) > LONGEST and column != "path":
            what = f"{column} has {len(cell)} characters ({cell[:40]!r}...)"
            fix = "Is a quotation mark not closed? Write a short name."
            raise refusal(table, what, fix, line, cause=f"{column} is long").error()


def _twice(rows: list[Row], table: Path) -> list[Issue]:
    by_path: dict[Path, list[Row]] = defaultdict(list)
    for row in rows:
        by_path[row.path].append(row)
    return together([_same(path, same, table) for path, same in by_path.items() if len(same) > 1])


def _same(path: Path, rows: list[Row], table: Path) -> Issue:
    given = sorted({row.label for row in rows})
    labels = f"under the labels {' and '.join(given)}" if len(given) > 1 else "with the same label"
    labels = "with a mask each" if rows[0].mask else labels if rows[0].label else "twice"
    lines = ", ".join(str(row.line) for row in rows)
    what = f"{path} stands in lines {lines}, {labels}"
    cause = f"twice, {len(given) > 1}"
    return refusal(table, what, "Keep one of them.", rows[1].line, cause=cause)
