"""Small tables that print as text and render as HTML in notebooks, and results that have one."""

import json
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from medshot.core.atomic import write_text

LONGEST = 160  # maximal number of characters of a cell in a terminal


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text with column names; the first column names the row.

    `str` aligns it with spaces; notebooks show an HTML table. Cells are escaped, never
    interpreted as HTML.
    """

    caption: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def __str__(self) -> str:
        lines = [[_cut(cell) for cell in row] for row in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        drawn = (_aligned(line, widths) for line in lines if any(line))
        return "\n".join(filter(None, (self.caption, *drawn)))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.rows
        )
        caption = f"<caption>{escape(self.caption)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Tabular:
    """An object displayed as a table; a subclass implements `table`."""

    __slots__ = ()

    @abstractmethod
    def table(self) -> Table:
        """The table to display."""

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


class Result(Tabular):
    """Measurements that print as a table and are saved as JSON."""

    __slots__ = ()

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All numbers, in the terms of JSON."""

    def save(self, path: str | Path) -> Path:
        """Write `to_json()` to a file, atomically.

        Raises:
            SaveError: the disk is full, the folder is read-only, ...
        """
        return write_json(Path(path), self.to_json())


def write_json(path: Path, record: dict[str, Any]) -> Path:
    """Write `record` to a JSON file, atomically; NaN and infinity become null."""
    write_text(path, json.dumps(nan_to_null(record), indent=2, allow_nan=False) + "\n")
    return path


def nan_to_null(value: Any) -> Any:
    """`value` with None in place of numbers that are not finite: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: nan_to_null(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cut(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:{w}}" for cell, w in zip(cells, widths, strict=True)).rstrip()
