"""Lines, tables and progress on the terminal.

What users named (files, classes) is shown with control characters escaped.
"""

import contextlib
import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shlex import join
from typing import TypeVar

from rich.console import Console
from rich.table import Table as Drawn
from rich.text import Text

from medshot import Adaptation, Table, progress_bar
from medshot.app.parse import program

FIRST = os.environ.get("RANK", "0") == "0"  # of several processes, only the first prints
BULLET = "  - "  # of an item of a list
ROWS = 40  # of a table on the terminal
GAP = 2  # characters between columns

Item = TypeVar("Item")

console = Console(highlight=False, markup=False, emoji=False, quiet=not FIRST)
errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def plain(text: str) -> str:
    """`text` with control characters, and what UTF-8 cannot encode, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(text: str, start: str = "") -> None:
    """A paragraph, on a terminal wrapped between words: a path is never cut in two."""
    lines = [plain(text)]
    if console.is_terminal:
        width = max(console.width - len(start), 20)
        lines = textwrap.wrap(lines[0], width, break_long_words=False, break_on_hyphens=False)
    for i, line in enumerate(lines or [""]):
        tell((start if i == 0 else " " * len(start)) + line)


def tell(line: str = "") -> None:
    """A line to copy from: never wrapped."""
    console.print(plain(line), soft_wrap=True)


def show(table: Table, rows: int = ROWS) -> None:
    """A table under its caption, in columns that fold but are never cut."""
    if table.caption:
        say(table.caption)
    if not table.rows:
        return
    for part in _parts(table):
        _draw(part, rows)
    if len(table.rows) > rows:
        tell(f"and {len(table.rows) - rows} more")


def _parts(table: Table) -> Iterator[Table]:
    """Tables of the columns that fit side by side, each with the first."""
    few, all_ = _that_fit(table), len(table.columns)
    for some in (range(few), (0, *range(few, all_))) if few < all_ else ():
        cells = [tuple(row[i] for i in some) for row in (table.columns, *table.rows)]
        yield from _parts(Table("", cells[0], tuple(cells[1:])))
    if few == all_:
        yield table


def _draw(table: Table, rows: int) -> None:
    drawn = Drawn(box=None, padding=(0, GAP, 0, 0))
    columns = [[plain(c) for c in cells] for cells in zip(table.columns, *table.rows, strict=True)]
    measured = [(_is_text(i, cells), *_widths(cells)) for i, cells in enumerate(columns)]
    least = [min(16, words) if text else whole for text, whole, words in measured]
    fits = sum(least) + GAP * len(least) <= console.width
    widths = _dealt(measured, console.width)
    for (name, *_), (text, whole, words), width in zip(columns, measured, widths, strict=True):
        if text and fits:
            drawn.add_column(name, overflow="fold", min_width=min(16, words))
        elif fits:  # texts are folded first
            drawn.add_column(textwrap.fill(name, max(whole, 1)), justify="right", no_wrap=True)
        elif text:
            drawn.add_column(name, overflow="fold", width=width)
        else:  # numbers are broken between words only
            drawn.add_column(name, justify="right", width=width)
    for row in table.rows[:rows]:
        drawn.add_row(*map(plain, row))
    console.print(drawn)


def _dealt(measured: Sequence[tuple[bool, int, int]], space: int) -> list[int]:
    """Width of each column: what it needs, and an equal part of the rest while it can use it."""
    widths = [min(16, words) if text else words for text, _, words in measured]
    for _ in range(space - sum(widths) - GAP * len(widths)):
        short = [i for i, (_, whole, _) in enumerate(measured) if widths[i] < whole]
        if short:
            widths[min(short, key=widths.__getitem__)] += 1
    return widths


def _that_fit(table: Table) -> int:
    """Number of columns, two at least, of which no word is cut."""
    width = 0
    for i, cells in enumerate(zip(table.columns, *table.rows, strict=True)):
        words = _widths([plain(cell) for cell in cells])[1]
        width += GAP + (min(16, words) if _is_text(i, list(cells)) else words)
        if width > console.width + GAP and i > 1:
            return i
    return len(table.columns)


def _is_text(i: int, cells: list[str]) -> bool:
    """Whether a column, of which the first cell is the head, holds names and no numbers."""
    return i == 0 or any(cell[:1].isalpha() for cell in cells[1:])


def _widths(cells: list[str]) -> tuple[int, int]:
    """Width of a column whose head alone is broken, and of one that is broken between words."""
    words = max((len(word) for cell in cells for word in cell.split()), default=0)
    return max(words, *map(len, cells[1:])), words


def show_item(item: str | Table) -> None:
    """A sentence, with a hanging indent where it is an item of a list, or a table."""
    if isinstance(item, Table):
        show(item)
    elif item.startswith(BULLET):
        say(item.removeprefix(BULLET), start=BULLET)
    else:
        say(item)


def next_step(*words: str | Path, start: str = "Next: ") -> None:
    """The command of `words`, to be pasted into the shell in which this one was typed."""
    tell(f"{start}{program()} {join(map(str, words))}")


def conclude(found: Adaptation, out: Path) -> None:
    """The summary, warnings and scores of an adaptation, where it is, and what to type next."""
    say(found.report.summary)
    for warning in found.report.warnings:
        say(warning, start="  - ")
    if found.scores:
        show(Table("", found.table().columns, found.table().rows))
    tell()
    tell(f"Predictor:  {out}")
    tell(f"Report:     {out / 'report.html'}")
    next_step(
        "predict", out, "NEW_IMAGES", "--out", found.predictor.default_output, start="Next:       "
    )


def announce(what: str) -> None:
    """A line on standard error where there is no terminal, on which bars show the same."""
    if FIRST and not errors.is_terminal:
        errors.print(Text(plain(what)))


def warn(what: str) -> None:
    """A line on standard error, terminal or not."""
    if FIRST:
        errors.print(Text(plain(what)))


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """A line on standard error while the block runs, on a terminal with a spinner."""
    shown = Text(plain(what))
    announce(what)
    with errors.status(shown) if errors.is_terminal else contextlib.nullcontext():
        yield


def progress(label: str, items: Iterable[Item], unit: str = "image") -> Iterator[Item]:
    """`items`, with a bar, the speed and the time left on standard error."""
    listed = list(items)
    with progress_bar(label, unit, stays=False)(len(listed), 0) as tick:
        for done, item in enumerate(listed, 1):
            yield item
            tick(done, None)
