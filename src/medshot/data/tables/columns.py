"""Tables of multimodal examples, and their columns as numbers.

    label,patient,path,text,signal,table.age,table.sex
    sick,p1,a.png,coughs at night,a.wav,63,F
    well,p2,,no complaints,,41,

Only `label` must be there, to learn; a cell may be empty where something is missing. Columns are
standardized, or one of several words; unknown cells are kept as such. labels.csv/2 is what stands
in line 2.
"""

import csv
import functools
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.registry import part
from medshot.data.checks.issue import TABLE, refusal
from medshot.data.tables.labels import AS_CSV, columns_of, inside, outside
from medshot.nn.encoders.multimodal import COLUMNS

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
UNKNOWN = {"", "nan", "na", "n/a", "?"}
LARGEST = 1e12  # what is larger is an identifier or a mistake, and no measurement
FARTHEST = 10.0  # deviations from the mean: farther than that is taken for that
MOST_WORDS = 10


@part("module", "column")
@dataclass(frozen=True)
class Column:
    """A column: of numbers, with their `mean` and `deviation`; or of one of `words`."""

    name: str
    words: Sequence[str] = ()
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple(self.words))  # a list, where it is from a file

    @property
    def size(self) -> int:
        """How many numbers it becomes."""
        return len(self.words) or 1

    def values(self, cell: str) -> list[float] | None:
        """The cell as numbers; None where it is empty, or a word that nobody knows."""
        if unknown(cell):
            return None
        if self.words:
            return [float(cell == word) for word in self.words] if cell in self.words else None
        if not NUMBER.fullmatch(cell) or abs(float(cell)) > LARGEST:
            return None
        far = (float(cell) - self.mean) / self.deviation
        return [min(max(far, -FARTHEST), FARTHEST)]


def column_of(name: str, cells: Sequence[str], table: Path) -> Column:
    """What a column is, from its cells.

    Raises:
        DataError: it is empty, or holds too many different words to be a category.
    """
    known = [cell for cell in cells if not unknown(cell)]
    if not known:
        raise refusal(table, f"table.{name} is empty", "Leave that column out.").error()
    if all(NUMBER.fullmatch(cell) for cell in known):
        numbers = torch.tensor([float(cell) for cell in known], dtype=torch.float64)
        if bool((numbers.abs() > LARGEST).any()):
            mend = "An identifier is nothing to learn: leave it out."
            raise refusal(table, f"table.{name} holds a number above 1e12", mend).error()
        deviation = float(numbers.std(correction=0))
        return Column(name, (), float(numbers.mean()), deviation or 1.0)
    words = sorted(set(known))
    if len(words) > MOST_WORDS:
        what = f"table.{name} holds {len(words)} different words (as {words[0]!r}), no category"
        raise refusal(table, what, "Leave it out, or call the column text.").error()
    return Column(name, words)


def check_columns(columns: Sequence[Column], table: Path) -> None:
    """Raise `DataError` if they become more numbers than there is place for."""
    wanted = sum(column.size for column in columns)
    if wanted > COLUMNS:
        what = f"its table columns become {wanted} numbers, and there is place for {COLUMNS}"
        raise refusal(table, what, "Leave out those that matter least.").error()


def row_of(columns: Sequence[Column], cells: dict[str, str]) -> Float[Tensor, "2 c"] | None:
    """The numbers of one row, and which are known; None if none is."""
    found, first = torch.zeros(2, COLUMNS), 0
    for column in columns:
        values = column.values(cells.get(f"table.{column.name}", ""))
        if values is not None:
            found[0, first : first + column.size] = torch.tensor(values)
            found[1, first : first + column.size] = 1
        first += column.size
    return found if bool(found[1].any()) else None


def unknown(cell: str) -> bool:
    """Whether a cell says nothing."""
    return cell.strip().lower() in UNKNOWN


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
