"""How a run is watched: a bar with the time left for a person, nothing for a program."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

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
            *(TextColumn(f"[bold]{what}"), BarColumn(), MofNCompleteColumn()),
            *(TextColumn("{task.fields[said]}"), TextColumn("left"), TimeRemainingColumn()),
        )
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task(what, total=steps, completed=done, said="")

            def tick(step: int, row: Row | None) -> None:
                if row is None:
                    progress.update(task, completed=step)
                    return
                said = _said(row)
                progress.update(task, completed=step, said=said)
                if not console.is_terminal:
                    line = f"{unit} {step}/{steps}  {said}"
                    console.print(line, highlight=False, soft_wrap=True)

            yield tick

    return shown


bar = bar_called("meta-train")


def _said(row: Row) -> str:
    if "tried" in row:
        best = f", best {row['best']:.3f}" if "best" in row else ""
        return f"{row['tried']} tried{best}"
    validation = f"  validation loss {row['val_loss']:.3f}" if "val_loss" in row else ""
    return f"loss {row['loss']:.3f}{validation}"
