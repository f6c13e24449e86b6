"""What the commands of all stages share: a model and images in its form, and what was gained."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from medshot.app.render import INTERVALS, cell, say, show, unit
from medshot.core.atomic import new_folder, refuse_taken
from medshot.evaluation.comparison import Comparison


@contextmanager
def unfinished(out: Path) -> Iterator[tuple[Path, Path]]:
    """A place for the new `out`, and one for checkpoints beside it: `OUT.unfinished`.

    When the block ends well, `out` is there and the checkpoints are gone; TensorBoard's scalars
    stay, in OUT/tensorboard. When it does not, the same command goes on from the checkpoints.

    Raises:
        SaveError: `out` is taken, or cannot be written.
    """
    refuse_taken(out)
    working = out.with_name(out.name + ".unfinished")
    with new_folder(out) as staging:
        yield staging, working
        scalars = working / "tensorboard"
        if scalars.is_dir() and staging.is_dir():
            scalars.rename(staging / "tensorboard")
    shutil.rmtree(working, ignore_errors=True)


def judged_on(data: Path, test: Path | None) -> str:
    """On which images a stage is judged, as its tables say it."""
    return str(test) if test else f"{data}, which it learned from: this flatters"


def show_gains(found: Comparison, where: str) -> None:
    """Scores and differences, as a person reads them; `where` says on which images."""
    show(f"on {where}, {INTERVALS}", gains_table(found))
    say_verdicts(found)


def gains_table(found: Comparison) -> Table:
    """A row a metric, and one of differences to the first."""
    table = Table("", *found.answers, box=None, padding=(0, 2, 0, 0))
    for metric in found.metrics:
        cells = (cell(metric, found.interval(metric, name)) for name in found.answers)
        table.add_row(unit(metric), *cells)
    if found.differences:
        leading = found.metrics[0]
        minus = (cell(leading, each) for each in found.differences.values())
        table.add_row(f"{unit(leading)}, difference", "", *minus)
    return table


def say_verdicts(found: Comparison) -> None:
    """Whether the others are better or worse than the first, where the images can tell."""
    for verdict in found.verdicts():
        say(verdict)
