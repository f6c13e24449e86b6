"""CSV tables that `medshot predict` writes, and the folder of files beside them."""

import csv
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from medshot.core.atomic import write_text
from medshot.core.prediction import FindingsPrediction, NumberPrediction, Prediction

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so


class AnswerTable(ABC):
    """Rows of a CSV file, one an image, in the order in which they come.

    A label has the column `p(label)`: no label can take the place of `path` then, nor begin with
    a sign that makes a spreadsheet run it. A path that begins so gets `./`, which leaves it the
    same path, and a label an apostrophe.
    """

    def __init__(self, *columns: str) -> None:
        self.unread, self._n = 0, len(columns)
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["path", *columns])

    @abstractmethod
    def cells(self, found: Any) -> Sequence[str]:
        """What stands beside the path."""

    def add(self, found: Any) -> None:
        """The answer for one image."""
        self._rows.writerow([path_cell(found.path), *self.cells(found)])

    def add_unread(self, path: Path) -> None:
        """An empty row for a file that could not be read."""
        self.unread += 1
        self._rows.writerow([path_cell(path), *[""] * self._n])

    def text(self) -> str:
        """All of it, header first."""
        return self._text.getvalue()


class Answers(AnswerTable):
    """A label, how sure it is, and a probability for each."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__("prediction", "confidence", *(f"p({label})" for label in labels))

    def cells(self, found: Prediction) -> Sequence[str]:
        """The label and the probabilities."""
        odds = [f"{p:.6f}" for p in found.probabilities.values()]
        return [harmless(found.label), f"{found.confidence:.6f}", *odds]


class Findings(AnswerTable):
    """The labels that are there, as `labels.csv` would have them, and a probability for each."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__("prediction", *(f"p({label})" for label in labels))

    def cells(self, found: FindingsPrediction) -> Sequence[str]:
        """The labels and the probabilities."""
        odds = [f"{p:.6f}" for p in found.probabilities.values()]
        return [harmless(";".join(found.labels)), *odds]


class Numbers(AnswerTable):
    """A number in its own unit, to six digits."""

    def __init__(self) -> None:
        super().__init__("prediction")

    def cells(self, found: NumberPrediction) -> Sequence[str]:
        """The number."""
        return [f"{value:.6g}" for value in found.values.values()]


Filled = TypeVar("Filled", bound=AnswerTable)


@contextmanager
def written(out: Path, table: Filled) -> Iterator[Filled]:
    """`table`, to be filled: it is in the file `out` once the block has ended well."""
    yield table
    write_text(out, table.text())


def harmless(label: str) -> str:
    """`label`, with an apostrophe before it if a spreadsheet would run it; numbers are numbers."""
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


class AnswerFolder:
    """Files in the new `folder` as they come, and a row an image: its path, and `columns`.

    A file is called as its image, in UTF-8; where two are called so, the second gets a `_2`.
    """

    def __init__(self, folder: Path, *columns: str) -> None:
        self.folder, self.unread, self._n = folder, 0, len(columns)
        self._taken: set[str] = set()
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        self._rows.writerow(["path", *columns])
        folder.mkdir(parents=True)

    def add_unread(self, path: Path) -> None:
        """A row without an answer, for a file that could not be read."""
        self.unread += 1
        self._row(path, *[""] * self._n)

    def close(self) -> None:
        """Write the table."""
        write_text(self.folder / TABLE, self._text.getvalue())

    def _row(self, path: str | Path, *cells: str) -> None:
        self._rows.writerow([path_cell(path), *cells])

    def _free(self, stem: str, suffix: str) -> str:
        """A name that no file of the folder has yet, also where capitals do not count."""
        stem = path_cell(stem)[:LONGEST]
        name, again = f"{stem}{suffix}", 2
        while name.casefold() in self._taken:
            name, again = f"{stem}_{again}{suffix}", again + 1
        self._taken.add(name.casefold())
        return name
