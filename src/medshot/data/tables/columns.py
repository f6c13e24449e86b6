"""Tables of multimodal examples, with columns encoded as numbers.

    label,patient,path,text,signal,table.age,table.sex
    sick,p1,a.png,coughs at night,a.wav,63,F
    well,p2,,no complaints,,41,

Training requires only `label`; other cells may be empty. Numeric columns are standardized,
categorical ones one-hot encoded; unknown cells are marked in a mask. labels.csv/2 is line 2.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import part
from medshot.data.checks.issue import refusal, together
from medshot.data.tables.cells import clean, is_doubtful, is_missing, patient_code, with_points
from medshot.data.tables.delimited import AS_CSV, PREFIX, Line, canonical, read_delimited, table_in
from medshot.data.tables.labels import columns_of
from medshot.data.tables.paths import FileCells
from medshot.nn.encoders.multimodal import COLUMNS

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
LARGEST = 1e12  # larger numbers are identifiers or mistakes
FARTHEST = 10.0  # standardized values are clipped to this
MOST_WORDS = 10


@part("module", "column")
@dataclass(frozen=True)
class Column:
    """A numeric column with `mean` and `deviation`, or a categorical one with its `words`."""

    name: str
    words: Sequence[str] = ()
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))  # a list if loaded from a file

    @property
    def size(self) -> int:
        """Number of encoded values."""
        return len(self.words) or 1

    def values(self, cell: str) -> list[float] | None:
        """Encode a cell; None if it is empty or an unknown word."""
        if is_unknown(cell):
            return None
        if self.words:
            return [float(cell == word) for word in self.words] if cell in self.words else None
        if not NUMBER.fullmatch(cell) or abs(float(cell)) > LARGEST:
            return None
        far = (float(cell) - self.mean) / self.deviation
        return [min(max(far, -FARTHEST), FARTHEST)]


def column_of(name: str, cells: Sequence[str], table: Path) -> Column:
    """Infer a column from its cells.

    Raises:
        DataError: it is empty, or holds too many different words to be a category.
    """
    known = [cell for cell in cells if not is_unknown(cell)]
    if not known:
        raise refusal(table, f"table.{name} is empty", "Leave that column out.").error()
    values = [cell for cell in known if not is_doubtful(cell)]  # `unknown` among numbers
    if values and all(NUMBER.fullmatch(cell) for cell in values):
        numbers = torch.tensor([float(cell) for cell in values], dtype=torch.float64)
        if bool((numbers.abs() > LARGEST).any()):
            fix = "An identifier is no feature: leave it out."
            raise refusal(table, f"table.{name} holds a number above 1e12", fix).error()
        deviation = float(numbers.std(correction=0))
        return Column(name, (), float(numbers.mean()), deviation or 1.0)
    words = sorted(set(known))
    if len(words) > MOST_WORDS:
        what = f"table.{name} holds {len(words)} different words (as {words[0]!r}), no category"
        raise refusal(table, what, "Leave it out, or call the column text.").error()
    return Column(name, words)


def check_columns(columns: Sequence[Column], table: Path) -> None:
    """Raise `DataError` if the encoded columns exceed `COLUMNS` values."""
    wanted = sum(column.size for column in columns)
    if wanted > COLUMNS:
        what = f"its table columns become {wanted} numbers, but there is room for {COLUMNS}"
        raise refusal(table, what, "Leave out those that matter least.").error()


def row_of(columns: Sequence[Column], cells: dict[str, str]) -> Float[Tensor, "2 c"] | None:
    """Encoded values of one row, and their mask; None if all are unknown."""
    found, first = torch.zeros(2, COLUMNS), 0
    given = {canonical(name).casefold(): cell for name, cell in cells.items()}
    for column in columns:
        values = column.values(given.get(f"{PREFIX}{column.name}".casefold(), ""))
        if values is not None:
            found[0, first : first + column.size] = torch.tensor(values)
            found[1, first : first + column.size] = 1
        first += column.size
    return found if bool(found[1].any()) else None


def is_unknown(cell: str) -> bool:
    """Whether a cell is empty or marked as unknown."""
    return is_missing(cell)


FILES = ("path", "signal")  # cells that name files
Cells = dict[str, str]


def kinds_of(columns: Sequence[str]) -> list[str]:
    """Modalities that a table with these columns can hold."""
    names = {"image": "path", "text": "text", "signal": "signal"}
    found = [kind for kind, column in names.items() if column in columns]
    return [*found, "table"] if any(c.startswith(PREFIX) for c in columns) else found


def is_multimodal(folder: Path) -> bool:
    """Whether the folder's labels.csv has a label and a modality other than images."""
    columns = columns_of(table_in(folder))
    return "label" in columns and bool(set(kinds_of(columns)) - {"image"})


def cells_at(row: Path) -> Cells:
    """Cells of the table line that `row` names, for example `labels.csv/2`.

    Raises:
        DataError: there is no such table or line.
    """
    table = row.parent
    found = rows_of(table) if table.is_file() else {}
    if not row.name.isdigit() or int(row.name) not in found:
        fix = "Name a folder with a labels.csv, or a line of one: labels.csv/2 is its first."
        raise refusal(row, "there is no such line", fix).error()
    return found[int(row.name)]


def rows_of(table: Path) -> dict[int, Cells]:
    """Rows of a table by line number.

    Raises:
        DataError: not a table, none of the columns present, or a file outside its folder.
    """
    try:
        return _rows(table, table.stat().st_mtime_ns)
    except OSError as error:
        raise refusal(table, f"it cannot be read ({error.strerror})", AS_CSV).error() from error


@functools.lru_cache(maxsize=4)
def _rows(table: Path, changed: int) -> dict[int, Cells]:
    del changed  # part of the cache key: a modified table is read again
    read = read_delimited(table)
    if not kinds_of(read.columns):
        columns = ", ".join(read.columns)
        what = f"it has no column path, text, signal or table.NAME (it has: {columns})"
        raise refusal(table, what, "Rename the columns.").error()
    if not read.lines:
        raise refusal(table, "it has no row", "Add one line per example.").error()
    if wrong := [line.number for line in read.lines if line.extra or line.short]:
        what = "it has more or fewer cells than columns"
        fix = 'A comma in a cell needs quotes: "coughs, at night".'
        raise together([refusal(table, what, fix, number) for number in wrong])[0].error()
    files = FileCells(table)
    found = {line.number: _cells(line, files) for line in read.lines}
    for name in read.columns:
        if name.startswith(PREFIX):
            numbers = with_points([cells[name] for cells in found.values()])
            for cells, number in zip(found.values(), numbers, strict=True):
                cells[name] = number
    return found


def _cells(line: Line, files: FileCells) -> Cells:
    """The cells of a line, those that name files as paths in the folder of the table."""
    found = {name: clean(cell) for name, cell in line.cells.items()}
    found |= {name: line.cells[name].strip() for name in ("text", *FILES) if name in found}
    found["patient"] = patient_code(found.get("patient", ""))
    for name in FILES:
        if not (cell := found.get(name, "")):
            continue
        file = files.find(cell, line.number)
        if file != files.folder / cell:
            found[name] = file.relative_to(files.folder).as_posix()
    return found
