"""How a run is watched: a bar with the time left for a person, nothing for a program."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SILENT = 15  # seconds after which a step without a loss is told, too, off a terminal
Row = dict[str, int | float]
Tick = Callable[[int, Row | None], None]
Watch = Callable[[int, int], AbstractContextManager[Tick]]  # steps in all, steps done


@contextmanager
def quiet(steps: int, done: int) -> Iterator[Tick]:
    """Show nothing."""
    del steps, done
    yield lambda step, row: None


def bar_called(what: str, unit: str = "step") -> Watch:
    """A bar on standard error, with losses and the time left; lines where it is no terminal.

    `unit` is what is counted.
    """

    @contextmanager
    def shown(steps: int, done: int) -> Iterator[Tick]:
        console = Console(stderr=True)
        columns = (
            *(TextColumn(f"[bold]{escape(what)}"), BarColumn(), MofNCompleteColumn()),
            *(TextColumn("{task.fields[said]}"), TextColumn("left"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task(what, total=steps, completed=done, said="")
            told = time.monotonic()

            def tick(step: int, row: Row | None) -> None:
                nonlocal told
                said = _said(row) if row else ""
                progress.update(task, completed=step)
                if row:
                    progress.update(task, said=said)
                silent = time.monotonic() - told > SILENT
                if not console.is_terminal and (row or silent):
                    line = f"{what}: {unit} {step}/{steps}  {said}".rstrip()
                    console.print(line, highlight=False, markup=False, soft_wrap=True)
                    told = time.monotonic()

            yield tick

    return shown


bar = bar_called("meta-train")


def _said(row: Row) -> str:
    if "tried" in row:
        best = f", best {row['best']:.3f}" if "best" in row else ""
        return f"{row['tried']} tried{best}"
    validation = f"  validation loss {row['val_loss']:.3f}" if "val_loss" in row else ""
    return f"loss {row['loss']:.3f}{validation}"
