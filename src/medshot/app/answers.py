"""The table that `medshot predict` writes: path, prediction, confidence, a probability a class."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from medshot.core.prediction import Prediction

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so


class Answers:
    """Rows of a CSV file, one an image, in the order in which they come.

    A class has the column `p(label)`: no label can take the place of `path` then, nor begin with
    a sign that makes a spreadsheet run it. A path that begins so gets `./`, which leaves it the
    same path, and a label an apostrophe.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels, self.unread = labels, 0
        self._text = io.StringIO()
        self._rows = csv.writer(self._text, lineterminator="\n")
        odds = [f"p({label})" for label in labels]
        self._rows.writerow(["path", "prediction", "confidence", *odds])

    def add(self, found: Prediction) -> None:
        """The answer for one image."""
        odds = [f"{p:.6f}" for p in found.probabilities.values()]
        label = harmless(found.label)
        self._rows.writerow([path_cell(found.path), label, f"{found.confidence:.6f}", *odds])

    def add_unread(self, path: Path) -> None:
        """An empty row for a file that could not be read."""
        self.unread += 1
        self._rows.writerow([path_cell(path), *[""] * (2 + len(self.labels))])

    def text(self) -> str:
        """All of it, header first."""
        return self._text.getvalue()


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
