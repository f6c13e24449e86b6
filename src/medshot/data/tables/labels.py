"""labels.csv: images with their labels, and the problems of invalid lines."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medshot.core import DataError
from medshot.data.checks.issue import Issue, finding_of, refusal, together
from medshot.data.io.registry import IMAGES, volume_suffix
from medshot.data.tables.cells import clean, is_missing, patient_code
from medshot.data.tables.delimited import GUESS, RATERS, Delimited, Line, read_delimited
from medshot.data.tables.paths import FileCells

MASKS = "For masks use `--task segmentation`; or add a column label."
FILES = {"path", "mask"}  # columns that name files
RATED = " Masks of several raters go in one line: columns mask_1, mask_2, ..."
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
    raters: tuple["Row", ...] = ()  # one for each mask, where there are several of the image


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


def mask_columns(table: Path) -> tuple[str, ...]:
    """Columns that name masks: `mask`, or those of several raters, such as `mask_1, mask_2`.

    Those of raters hold names of files; beside `mask`, they have numbers. Empty if the table cannot
    be read.
    """
    try:
        return _mask_columns(read_delimited(table), table)
    except DataError:
        return ()


def _mask_columns(found: Delimited, table: Path) -> tuple[str, ...]:
    one = tuple(column for column in found.columns if column == "mask")
    several = (c for c in found.columns if c.startswith(RATERS) and (not one or c[5:].isdigit()))
    return (*one, *(c for c in several if _names_files(found, c, table)))


def _names_files(found: Delimited, column: str, table: Path) -> bool:
    """Whether the first filled cell of a column names an image or a volume."""
    given = (line.cells.get(column, "").strip() for line in found.lines)
    first = next((cell for cell in given if not is_missing(cell)), "")
    if volume_suffix(Path(first)) or Path(first).suffix.lower() in {*IMAGES.all()} - {""}:
        return True
    with contextlib.suppress(DataError):
        return bool(first) and FileCells(table).find(first, 0).exists()
    return False


def mask_cells(table: Path) -> list[str]:
    """Cells of all columns of masks that are not missing."""
    lines = read_delimited(table).lines if (columns := mask_columns(table)) else ()
    given = (line.cells.get(column, "").strip() for line in lines for column in columns)
    return [cell for cell in given if not is_missing(cell)]


def masks_of(table: Path) -> list[Path]:
    """The files in the columns of masks."""
    files, found = FileCells(table), []
    for cell in mask_cells(table):
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
    masks = _mask_columns(found, table)
    given = tuple(dict.fromkeys((*found.columns, "mask"))) if masks else found.columns
    if wrong := _columns(given, table, target):
        return [], [*found.issues, wrong]
    files = FileCells(table)
    rows: list[Row] = []
    problems: list[Issue] = []
    for line in found.lines:
        try:
            rows.append(_row(line, target, files, masks, optional=optional))
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


def _row(
    line: Line, target: str, files: FileCells, columns: Sequence[str], *, optional: bool
) -> Row:
    column, masks = target, []
    if target == "mask":  # not every rater needs to have marked every image
        given = [line.cells.get(name, "").strip() for name in columns]
        masks = [cell for cell in given if not is_missing(cell)]
        column = columns[0] if len(columns) == 1 else f"every one of {', '.join(columns)}"
        label = clean((masks or given)[0])
    else:
        label = clean(line.cells[target])
    needed = {"path": line.cells["path"].strip()} | ({} if target == "path" else {column: label})
    refuse_missing(needed, files.table, line.number, empty=(target,) if optional else ())
    path = files.find(needed["path"], line.number)
    found = tuple(files.find(cell, line.number) for cell in masks)
    if len({*found}) < len(found):
        what = f"two of its columns {', '.join(columns)} name the same mask"
        fix = "Leave the cell of a rater empty who did not mark the image."
        raise refusal(files.table, what, fix, line.number).error()
    guesses = [patient_code(cell) for name, cell in line.cells.items() if name.endswith(GUESS)]
    patient = patient_code(line.cells.get("patient", "")) or next(iter(guesses), "")
    if target in FILES:
        label = clean(line.cells.get("label", ""))
    row = Row(path, label, patient, clean(line.cells.get("split", "")), line.number)
    row = replace(row, mask=found[0] if found else None)
    several = tuple(replace(row, mask=mask) for mask in found) if len(found) > 1 else ()
    return replace(row, raters=several)


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
    fix = f"Keep one of them.{RATED if rows[0].mask else ''}"
    return refusal(table, what, fix, rows[1].line, cause=cause)
