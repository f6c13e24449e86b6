"""Tables of multimodal examples, with columns encoded as numbers.

    label,patient,path,text,signal,table.age,table.sex
    sick,p1,a.png,coughs at night,a.wav,63,F
    well,p2,,no complaints,,41,

Training requires only `label`; other cells may be empty. Numeric columns are standardized,
categorical ones one-hot encoded; unknown cells are marked in a mask. labels.csv/2 is line 2.
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

from medshot.core import part
from medshot.data.checks.issue import TABLE, refusal
from medshot.data.tables.labels import AS_CSV, columns_of, inside, outside
from medshot.nn.encoders.multimodal import COLUMNS

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
UNKNOWN = {"", "nan", "na", "n/a", "?"}
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
    if all(NUMBER.fullmatch(cell) for cell in known):
        numbers = torch.tensor([float(cell) for cell in known], dtype=torch.float64)
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
    for column in columns:
        values = column.values(cells.get(f"table.{column.name}", ""))
        if values is not None:
            found[0, first : first + column.size] = torch.tensor(values)
            found[1, first : first + column.size] = 1
        first += column.size
    return found if bool(found[1].any()) else None


def is_unknown(cell: str) -> bool:
    """Whether a cell is empty or marked as unknown."""
    return cell.strip().lower() in UNKNOWN


PREFIX = "table."
FILES = ("path", "signal")  # cells that name files
Cells = dict[str, str]


def kinds_of(columns: Sequence[str]) -> list[str]:
    """Modalities that a table with these columns can hold."""
    names = {"image": "path", "text": "text", "signal": "signal"}
    found = [kind for kind, column in names.items() if column in columns]
    return [*found, "table"] if any(c.startswith(PREFIX) for c in columns) else found


def is_multimodal(folder: Path) -> bool:
    """Whether the folder's labels.csv has a label and a modality other than images."""
    columns = columns_of(folder / TABLE)
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
    try:
        text = table.read_bytes().decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = columns
        found: dict[int, Cells] = {}
        for row in reader:
            found[reader.line_num] = _cells(row, table, reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal(table, f"it is not a CSV file ({error})", AS_CSV).error() from error
    if not kinds_of(columns):
        what = f"it has no column path, text, signal or table.NAME (it has: {', '.join(columns)})"
        raise refusal(table, what, "Rename the columns.").error()
    if not found:
        raise refusal(table, "it has no row", "Add one line per example.").error()
    return found


def _cells(row: dict[str, str | None], table: Path, line: int) -> Cells:
    if None in row or any(value is None for value in row.values()):
        fix = 'A comma in a cell needs quotes: "coughs, at night".'
        raise refusal(table, "it has more or fewer cells than columns", fix, line).error()
    found = {name: (value or "").strip() for name, value in row.items()}
    for name in FILES:
        file = table.parent / found.get(name, "")
        if Path(found.get(name, "")).is_absolute() or not inside(file, table.parent):
            raise outside(table, found[name], line).error()
    return found
