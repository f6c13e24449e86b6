"""A folder that `medshot predict` writes: a file an image, and a table of all."""

import csv
import io
from pathlib import Path

from medshot.app.answers import path_cell
from medshot.core.atomic import write_text

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
