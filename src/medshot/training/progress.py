"""How a run is watched: a bar with the time left for a person, nothing for a program."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SILENT = 15  # seconds after which a step without a loss is told, too, off a terminal
ESTIMATED = 600.0  # seconds back to which a bar's speed is taken: steps may last some
Row = dict[str, int | float]
Tick = Callable[[int, Row | None], None]
Watch = Callable[[int, int], AbstractContextManager[Tick]]  # steps in all, steps done


@contextmanager
def quiet(steps: int, done: int) -> Iterator[Tick]:
    """Show nothing."""
    del steps, done
    yield lambda step, row: None


def bar_called(what: str, unit: str = "step", *, stays: bool = True) -> Watch:
    """A bar on standard error, with losses, speed and the time left; lines where it is no terminal.

    `unit` is what is counted; a bar that does not stay goes away with its end.
    """

    @contextmanager
    def shown(steps: int, done: int) -> Iterator[Tick]:
        console = Console(stderr=True)
        columns = (
            *(TextColumn(f"[bold]{escape(what)}"), BarColumn(), MofNCompleteColumn()),
            *(TextColumn("{task.fields[said]}"), TextColumn("{task.fields[speed]}")),
            *(TextColumn("left"), TimeRemainingColumn()),
        )
        look = {"console": console, "disable": not console.is_terminal, "transient": not stays}
        with Progress(*columns, speed_estimate_period=ESTIMATED, **look) as progress:
            task = progress.add_task(what, total=steps, completed=done, said="", speed="")
            begun = told = time.monotonic()

            def tick(step: int, row: Row | None) -> None:
                nonlocal told
                said = _said(row) if row else ""
                each = (time.monotonic() - begun) / max(step - done, 1)
                speed, left = _speed(each, unit), timedelta(seconds=round(each * (steps - step)))
                progress.update(task, completed=step, speed=speed)
                if row:
                    progress.update(task, said=said)
                silent = time.monotonic() - told > SILENT
                if not console.is_terminal and (row or silent):
                    known = [said, speed, f"{left} left" if speed and step < steps else ""]
                    line = f"{what}: {unit} {step}/{steps}  {'  '.join(filter(None, known))}"
                    console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)
                    told = time.monotonic()

            yield tick

    return shown


bar = bar_called("meta-train")


def _speed(seconds: float, unit: str) -> str:
    """`3.2 steps/s`, or `5.1 s a step`; of seconds themselves there is none."""
    if unit == "second" or seconds <= 0:
        return ""
    return f"{seconds:.1f} s a {unit}" if seconds >= 1 else f"{1 / seconds:.3g} {unit}s/s"


def _said(row: Row) -> str:
    if "tried" in row:
        best = f", best {row['best']:.3f}" if "best" in row else ""
        return f"{row['tried']} tried{best}"
    validation = f"  validation loss {row['val_loss']:.3f}" if "val_loss" in row else ""
    return f"loss {row['loss']:.3f}{validation}"
