"""CSV tables and folders that `medshot predict` writes."""

import csv
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from medshot.core import ConfigError, FindingsPrediction, NumberPrediction, Prediction
from medshot.core.atomic import new_folder, write_text

TABLES = (".csv", ".json", ".tsv", ".txt")  # suffixes that no folder has
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that starts with these


class AnswerTable(ABC):
    """Writer of a CSV file, one row an image, in the order of `add`.

    A label has the column `p(label)`, so that it cannot collide with `path` or start with a
    character that makes a spreadsheet run it as a formula. A path that starts with one gets `./`,
    and a label an apostrophe.
    """

    def __init__(self, *columns: str) -> None:
        self.unread, self._n = 0, len(columns)
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["path", *columns])

    @abstractmethod
    def cells(self, found: Any) -> Sequence[str]:
        """The cells after the path."""

    def add(self, found: Any) -> None:
        """Add a row for one image."""
        self._rows.writerow([path_cell(found.path), *self.cells(found)])

    def add_unread(self, path: Path) -> None:
        """Add an empty row for a file that could not be read."""
        self.unread += 1
        self._rows.writerow([path_cell(path), *[""] * self._n])

    def text(self) -> str:
        """The CSV text, header first."""
        return self._text.getvalue()


class LabelTable(AnswerTable):
    """The predicted label, its probability, and the probabilities of all labels."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__("prediction", "confidence", *(f"p({label})" for label in labels))

    def cells(self, found: Prediction) -> Sequence[str]:
        """The label and the probabilities."""
        odds = [f"{p:.6f}" for p in found.probabilities.values()]
        return [harmless(found.label), f"{found.confidence:.6f}", *odds]


class Findings(AnswerTable):
    """The predicted labels, in the format of `labels.csv`, and a probability for each."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__("prediction", *(f"p({label})" for label in labels))

    def cells(self, found: FindingsPrediction) -> Sequence[str]:
        """The labels and the probabilities."""
        odds = [f"{p:.6f}" for p in found.probabilities.values()]
        return [harmless(";".join(found.labels)), *odds]


class Numbers(AnswerTable):
    """A number in its unit, to six digits."""

    def __init__(self) -> None:
        super().__init__("prediction")

    def cells(self, found: NumberPrediction) -> Sequence[str]:
        """The number."""
        return [f"{value:.6g}" for value in found.values.values()]


Filled = TypeVar("Filled", bound=AnswerTable)


@contextmanager
def written(out: Path, table: Filled) -> Iterator[Filled]:
    """Yield `table`; write it atomically to `out` at the end of the block."""
    yield table
    write_text(out, table.text())


def harmless(label: str) -> str:
    """`label`, with an apostrophe first if a spreadsheet would run it; numbers are unchanged."""
    return f"'{label}" if label.startswith(FORMULA) and not _is_number(label) else label


def path_cell(path: str | Path) -> str:
    """`path` as text in UTF-8, whatever bytes its name has."""
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    return f"./{shown}" if shown.startswith(FORMULA) else shown


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


TABLE = "answers.csv"
LONGEST = 100  # characters of an image's name that its answer keeps


@contextmanager
def answer_folder(out: Path) -> Iterator[Path]:
    """The new folder `out`, created at the end of the block; yields where to write.

    Raises:
        ConfigError: `out` has the name of a table.
        SaveError: `out` exists or cannot be written.
    """
    if out.suffix.lower() in TABLES:
        raise ConfigError(
            f"{out} would be a folder, as there is a file for each image: give --out a name "
            f"without {out.suffix}."
        )
    with new_folder(out) as staging:
        yield staging


class AnswerFolder:
    """Files in the new `folder` as they come, and a row an image: its path, and `columns`.

    A file has the name of its image, in UTF-8; a second one of that name gets a `_2`.
    """

    table = TABLE

    def __init__(self, folder: Path, *columns: str) -> None:
        self.folder, self.unread, self._n = folder, 0, len(columns)
        self._taken: set[str] = set()
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["path", *columns])
        folder.mkdir(parents=True)

    def add_unread(self, path: Path) -> None:
        """Add an empty row for a file that could not be read."""
        self.unread += 1
        self._row(path, *[""] * self._n)

    def close(self) -> None:
        """Write the table."""
        write_text(self.folder / self.table, self._text.getvalue())

    def _row(self, path: str | Path, *cells: str) -> None:
        self._rows.writerow([path_cell(path), *cells])

    def _free(self, stem: str, suffix: str) -> str:
        """A name that is unused in the folder, also on a case-insensitive file system."""
        stem = path_cell(stem)[:LONGEST]
        name, again = f"{stem}{suffix}", 2
        while name.casefold() in self._taken:
            name, again = f"{stem}_{again}{suffix}", again + 1
        self._taken.add(name.casefold())
        return name
