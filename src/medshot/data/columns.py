"""The columns of a table as numbers: standardised, or one of several words; unknown cells kept."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.parts import part
from medshot.data.finding import refusal
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
