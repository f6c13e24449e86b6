"""Tables and lines for people. What users named (files, classes) is shown, never obeyed."""

import contextlib
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from shlex import join

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from medshot.app.argv import program
from medshot.core.task import is_share
from medshot.evaluation.episodes import Result
from medshot.evaluation.report import MetricsTable, Report
from medshot.evaluation.report.text import interval, number
from medshot.evaluation.statistics import Interval, paired
from medshot.training.progress import Watch, bar_called

FIRST = os.environ.get("RANK", "0") == "0"  # of several processes, the first speaks for all
console = Console(highlight=False, markup=False, emoji=False, quiet=not FIRST)
errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


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


def show(title: str, table: Table) -> None:
    """A table under a heading of its own: a path there is not cut to the table's width."""
    say(title)
    console.print(table)


def plain(text: str) -> str:
    """`text` with what would move the cursor, or cannot be written in UTF-8, spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def results_table(results: Mapping[str, Result], title: str) -> Table:
    """Metrics with intervals (shares in percent), a learner a row, the paired difference beside."""
    first, *_ = results.values()
    table = Table(
        title=title,
        caption=f"difference: {first.leading} of the first learner minus that of this one, paired",
        title_justify="left",
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("learner", overflow="fold", min_width=16)
    for metric in first.scores:
        unit = " %" if is_share(metric) else ""
        table.add_column(metric.replace(" ", "\n") + unit, justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    for name, result in results.items():
        found = [result.interval(metric) for metric in first.scores]
        cells = [_cell(metric, i) for metric, i in zip(first.scores, found, strict=True)]
        label = f"{name} (transductive)" if result.transductive else name
        table.add_row(label, *cells, "" if result is first else _difference(first, result))
    return table


def scores_table(scores: MetricsTable) -> Table:
    """The scores of a report: a metric a row, a method a column, intervals beside."""
    table = Table("", *scores.methods, box=None, padding=(0, 2, 0, 0))
    for row in scores.rows:
        cells = [f"{number(e.mean)} {interval(e)}" for e in row.estimates]
        table.add_row(row.name, *cells)
    return table


def conclude(report: Report, out: Path, answers: str) -> None:
    """What a report says, where it is, and the command that asks the predictor in `out` next."""
    say(report.summary)
    for warning in report.warnings:
        say(warning, start="  - ")
    if report.metrics:
        console.print(scores_table(report.metrics))
    tell()
    tell(f"Predictor:  {out}")
    tell(f"Report:     {out / 'report.html'}")
    next_step("predict", out, "NEW_IMAGES", "--out", answers, start="Next:       ")


def next_step(*words: str | Path, start: str = "Next: ") -> None:
    """The command of `words`, to be pasted into the shell in which this one was typed."""
    tell(f"{start}{program()} {join(map(str, words))}")


def progress(label: str, items: Iterable[int], unit: str = "image") -> Iterator[int]:
    """`items`, with a bar, the speed and the time left on standard error."""
    listed = list(items)
    with bar_called(label, unit, stays=False)(len(listed), 0) as tick:
        for done, item in enumerate(listed, 1):
            yield item
            tick(done, None)


def announce(what: str) -> None:
    """A line on standard error where there is no terminal, on which bars show the same."""
    if FIRST and not errors.is_terminal:
        errors.print(Text(plain(what)))


def warn_of(what: str) -> None:
    """A line on standard error, terminal or not: what it will cost, before it is begun."""
    if FIRST:
        errors.print(Text(plain(what)))


def watch_folds(what: str) -> Watch:
    """A bar of folds, for a person who waits."""
    return bar_called(what, unit="fold")


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """A line on standard error that says what is going on: it goes away on a terminal alone."""
    shown = Text(plain(what))
    announce(what)
    with errors.status(shown) if errors.is_terminal else contextlib.nullcontext():
        yield


def _difference(first: Result, second: Result) -> str:
    found = paired(first.scores[first.leading], second.scores[first.leading])
    return _cell(first.leading, found, "+")


def _cell(metric: str, found: Interval, sign: str = "") -> str:
    by = 100 if is_share(metric) else 1
    return f"{by * found.mean:{sign}.2f} ± {by * found.half:.2f}"
