"""Progress reporting: bars with the time left, status lines, TensorBoard scalars."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medshot.core import SaveError

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


SILENT = 15  # seconds without output after which a step is printed, off a terminal
SOON = 3  # the same for the first step
ESTIMATED = 600.0  # window in seconds of the speed estimate: a step may last some
Row = dict[str, int | float]
Tick = Callable[[int, Row | None], None]  # a row without `step` (its loss) is no validation
Watch = Callable[[int, int], AbstractContextManager[Tick]]  # total steps, completed steps


@contextmanager
def quiet(steps: int, done: int) -> Iterator[Tick]:
    """Show nothing."""
    del steps, done
    yield lambda step, row: None


_on_fit: ContextVar[Callable[[str], None] | None] = ContextVar("on_fit", default=None)


@contextmanager
def counting_fits(
    watch: Watch, total: int, whole: float = 0.0, seconds: Mapping[str, float] | None = None
) -> Iterator[None]:
    """Show every predictor that is fitted within the block, of about `total`.

    Where learners are known to take such `seconds`, `whole` in all, each counts by these, so that
    the time left is right from the first on.
    """
    done = 0.0
    share = total / whole if seconds and whole else 0.0
    longest = max(seconds.values(), default=0.0) if seconds else 0.0  # of a choice: its last fit
    with watch(total, 0) as tick:

        def fitted(learner: str) -> None:
            nonlocal done
            one = share * seconds.get(learner, longest) if seconds and share else 1
            done = min(done + one, total)
            tick(int(done), None)

        token = _on_fit.set(fitted)
        try:
            yield
        finally:
            _on_fit.reset(token)
        tick(total, None)


def fit_done(learner: str = "") -> None:
    """Count a predictor that `learner` fitted, where `counting_fits` shows them."""
    if (fitted := _on_fit.get()) is not None:
        fitted(learner)


def progress_bar(what: str, unit: str = "step", *, stays: bool = True) -> Watch:
    """Bar on standard error with losses, speed and time left; status lines off a terminal.

    `unit` is what is counted; with `stays=False` the bar is cleared at the end.
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
            begun = time.monotonic()
            told = begun - max(0, SILENT - SOON)
            seen: Row = {}

            def tick(step: int, row: Row | None) -> None:
                nonlocal told
                seen.update(row or {})
                said = _said(seen) if seen else ""
                each = (time.monotonic() - begun) / max(step - done, 1)
                speed, left = _speed(each, unit), timedelta(seconds=round(each * (steps - step)))
                progress.update(task, completed=step, speed=speed, said=said)
                silent = time.monotonic() - told > SILENT
                if not console.is_terminal and (silent or (row and "step" in row)):
                    known = [said, speed, f"{left} left" if speed and step < steps else ""]
                    line = f"{what}: {unit} {step}/{steps}  {'  '.join(filter(None, known))}"
                    console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)
                    told = time.monotonic()

            yield tick

    return shown


bar = progress_bar("meta-train")


def _speed(seconds: float, unit: str) -> str:
    """`3.2 steps/s`, or `5.1 s a step`; empty where the unit is seconds."""
    if unit == "second" or seconds <= 0:
        return ""
    return f"{seconds:.1f} s a {unit}" if seconds >= 1 else f"{1 / seconds:.3g} {unit}s/s"


def _said(row: Row) -> str:
    if "tried" in row:
        best = f", best {row['best']:.3f}" if "best" in row else ""
        return f"{row['tried']} tried{best}"
    validation = f"  validation loss {row['val_loss']:.3f}" if "val_loss" in row else ""
    return f"loss {row['loss']:.3f}{validation}"


FOLDER = "tensorboard"


class Scalars:
    """TensorBoard writer for `folder`/tensorboard; drops steps after `done` of an interrupted run.

    Nothing is written before the first row, and nothing at all where `folder` is None.
    """

    def __init__(self, folder: Path | None, done: int) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._done = done
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> "Scalars":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            with suppress(OSError):  # every row was flushed when it was written
                self._writer.close()

    def write(self, row: Row) -> None:
        """Write a scalar for each value of `row`, at its step.

        Raises:
            SaveError: the disk is full, the folder is read-only, ...
        """
        if self._folder is None:
            return
        with _explained(self._folder):
            self._writer = self._writer or _open(self._folder, self._done)
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, int(row["step"]))
            self._writer.flush()  # a killed run must not lose rows that its checkpoint has


def _open(folder: Path, done: int) -> "SummaryWriter":
    from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415  (slow to import)

    return SummaryWriter(folder, purge_step=done + 1)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SaveError(
            f"Could not write to {folder}: {error.strerror or error}. Free some space (or make it "
            "writable) and repeat the same command: the run resumes from its checkpoint."
        ) from error
