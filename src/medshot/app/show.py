"""Tables and lines for people."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console
from rich.progress import track
from rich.table import Table

from medshot.evaluation.metrics import METRICS
from medshot.evaluation.run import Result
from medshot.evaluation.statistics import paired

console = Console(soft_wrap=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False)


def results_table(results: Mapping[str, Result], title: str) -> Table:
    """Metrics in percent with intervals, a learner a row, and the paired difference to the first."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("learner")
    for metric in METRICS:
        table.add_column(f"{metric} %", justify="right", no_wrap=True)
    first = next(iter(results))
    table.add_column(f"{first} minus it", justify="right", no_wrap=True)
    for name, result in results.items():
        cells = [f"{100 * i.mean:.2f} ± {100 * i.half:.2f}" for i in map(result.interval, METRICS)]
        label = f"{name} (transductive)" if result.transductive else name
        table.add_row(label, *cells, "" if name == first else _difference(results[first], result))
    return table


def progress(label: str, items: Iterable[int]) -> Iterator[int]:
    """`items`, with a bar and the time left on standard error."""
    total = len(items) if isinstance(items, range) else None
    console_ = Console(stderr=True)
    yield from track(
        items, label, total=total, console=console_, transient=True, disable=not console_.is_terminal
    )


@contextlib.contextmanager
def busy(what: str) -> Iterator[None]:
    """A line that says what is going on, on a terminal only."""
    with errors.status(what) if errors.is_terminal else contextlib.nullcontext():
        yield


def _difference(first: Result, second: Result) -> str:
    metric = "balanced accuracy"
    found = paired(first.scores[metric], second.scores[metric])
    return f"{100 * found.mean:+.2f} ± {100 * found.half:.2f}"
