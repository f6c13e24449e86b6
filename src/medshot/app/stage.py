"""What the commands of all stages share: a model and images in its form, and what was gained."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from medshot.app.render import INTERVALS, cell, say, show, unit
from medshot.core.atomic import new_folder, refuse_taken
from medshot.core.errors import LeakError
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold, answered


def refuse_shared(learned: Dataset, judged: Dataset) -> None:
    """Raise `LeakError` if an image to be judged on is among those that are learned from."""
    known = {image.numpy().tobytes() for image in learned.x}
    shared = [i for i, image in enumerate(judged.x) if image.numpy().tobytes() in known]
    if shared:
        first = judged.rows[shared[0]].path if judged.rows else f"number {shared[0]}"
        raise LeakError(
            f"{len(shared)} image(s) of {judged.name} are in {learned.name} too (first: {first}). "
            "Leave them out of one, or the scores will be too good."
        )


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


def judged(predictors: Mapping[str, Predictor], dataset: Dataset) -> dict[str, OutOfFold]:
    """The answers of each for the same images."""
    return {name: answered(predictor, dataset) for name, predictor in predictors.items()}


def gains(found: Mapping[str, OutOfFold]) -> dict[str, dict[str, Any]]:
    """Every metric of each with its interval; of all but the first its difference to the first."""
    first, *others = found
    metrics = found[first].task.metrics
    rows = {n: {m: vars(f.interval(m)) for m in metrics} for n, f in found.items()}
    for name in others:
        minus = found[name].minus(found[first], found[first].task.leading)
        rows[name]["difference"] = vars(minus)
    return rows


def show_gains(found: Mapping[str, OutOfFold], where: str) -> None:
    """What `gains` says, as a person reads it; `where` says on which images."""
    show(f"on {where}, {INTERVALS}", gains_table(found))
    say_verdicts(found)


def gains_table(found: Mapping[str, OutOfFold]) -> Table:
    """A row a metric, and one of differences to the first."""
    first, *others = found
    task, before = found[first].task, found[first]
    table = Table("", *found, box=None, padding=(0, 2, 0, 0))
    for metric in task.metrics:
        table.add_row(unit(metric), *(cell(metric, of.interval(metric)) for of in found.values()))
    if others:
        minus = (cell(task.leading, found[name].minus(before, task.leading)) for name in others)
        table.add_row(f"{unit(task.leading)}, difference", "", *minus)
    return table


def say_verdicts(found: Mapping[str, OutOfFold]) -> None:
    """Whether the others are better or worse than the first, where the images can tell."""
    first, *others = found
    metric = found[first].task.leading
    for name in others:
        minus = found[name].minus(found[first], metric)
        if minus.low == minus.high == 0:
            say(f"By {metric}, {name} and {first} are the same on these images.")
        elif minus.low > 0:
            say(f"{name} is better than {first}.")
        elif minus.high < 0:
            say(f"{name} is WORSE than {first}: by {metric}, keep {first}.")
        else:
            say(f"These images do not tell {name} from {first}: the difference may be chance.")
