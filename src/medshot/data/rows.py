"""Tables of examples of several kinds of data, row by row: labels.csv/2 is what stands in line 2.

    label,patient,path,text,signal,table.age,table.sex
    sick,p1,a.png,coughs at night,a.wav,63,F
    well,p2,,no complaints,,41,

Only `label` must be there, to learn; a cell may be empty where something is missing.
"""

import csv
import functools
import io
from collections.abc import Sequence
from pathlib import Path

from medshot.data.finding import TABLE, refusal
from medshot.data.table import AS_CSV, columns_of, inside, outside

PREFIX = "table."
FILES = ("path", "signal")  # cells that name files
Cells = dict[str, str]


def kinds_of(columns: Sequence[str]) -> list[str]:
    """Which kinds of data a table with these columns can hold."""
    names = {"image": "path", "text": "text", "signal": "signal"}
    found = [kind for kind, column in names.items() if column in columns]
    return [*found, "table"] if any(c.startswith(PREFIX) for c in columns) else found


def is_multimodal(folder: Path) -> bool:
    """Whether its labels.csv has a label and more than images."""
    columns = columns_of(folder / TABLE)
    return "label" in columns and bool(set(kinds_of(columns)) - {"image"})


def cells_at(row: Path) -> Cells:
    """What stands in the line of a table that `row` names, `labels.csv/2`.

    Raises:
        DataError: there is no such table or line.
    """
    table = row.parent
    found = rows_of(table) if table.is_file() else {}
    if not row.name.isdigit() or int(row.name) not in found:
        mend = "Name a folder with a labels.csv, or a line of one: labels.csv/2 is its first."
        raise refusal(row, "there is no such line", mend).error()
    return found[int(row.name)]


def rows_of(table: Path) -> dict[int, Cells]:
    """The rows of a table by their line.

    Raises:
        DataError: it is no table, has none of the columns, or a file lies outside of its folder.
    """
    try:
        return _rows(table, table.stat().st_mtime_ns)
    except OSError as error:
        raise refusal(table, f"it cannot be read ({error.strerror})", AS_CSV).error() from error


@functools.lru_cache(maxsize=4)
def _rows(table: Path, changed: int) -> dict[int, Cells]:
    del changed  # a table that was written again is read again
    try:
        text = table.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        found: dict[int, Cells] = {}
        for row in reader:
            found[reader.line_num] = _cells(row, table, reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal(table, f"it is no CSV file ({error})", AS_CSV).error() from error
    if not kinds_of(columns):
        what = f"it has no column path, text, signal or table.NAME (it has: {', '.join(columns)})"
        raise refusal(table, what, "Call the columns so.").error()
    if not found:
        raise refusal(table, "it has no row", "Add a line an example.").error()
    return found


def _cells(row: dict[str, str | None], table: Path, line: int) -> Cells:
    if None in row or any(value is None for value in row.values()):
        mend = 'A comma in a cell needs quotes: "coughs, at night".'
        raise refusal(table, "it has more or fewer cells than columns", mend, line).error()
    found = {name: (value or "").strip() for name, value in row.items()}
    for name in FILES:
        file = table.parent / found.get(name, "")
        if Path(found.get(name, "")).is_absolute() or not inside(file, table.parent):
            raise outside(table, found[name], line).error()
    return found
