"""What `medshot compress` does: each step by itself, all of them in a chain, and a table."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.table import Table

from medshot.app.show import say, show, tell
from medshot.app.stage import INTERVALS, cell, say_verdicts, unit
from medshot.compress.cost import Cost
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.predictor import Card, Predictor
from medshot.data.dataset import Dataset
from medshot.data.load import images_for
from medshot.data.tables.manifest import find_images, is_image
from medshot.evaluation.cross_validation import OutOfFold

Step = Callable[[Predictor, Path], Predictor]  # the folder is for its checkpoints
ORIGINAL = "original"


def in_steps(original: Predictor, steps: Mapping[str, Step], working: Path) -> dict[str, Predictor]:
    """The original, what each step alone makes of it, and all steps after each other.

    What a later step cannot do with the original, it may do with what the first one makes of it:
    that is said, and alone it is left out.
    """
    found, (first, *others) = {ORIGINAL: original}, steps
    found[first] = last = steps[first](original, working / first)
    for name in others:
        try:
            found[name] = steps[name](original, working / name)
        except (ConfigError, TaskError) as error:
            why = str(error).partition(". ")[0].removesuffix(".")
            say(f"{name} alone is left out: {why}.", start="  - ")
    if others:
        for name in others:
            last = steps[name](last, working / f"{name} in the chain")
        found[", ".join(steps)] = last
    return found


def gather_scalars(working: Path) -> None:
    """TensorBoard's files of all steps in one folder, working/tensorboard, one below the other."""
    for scalars in sorted(working.glob("*/tensorboard")):
        place = working / "tensorboard" / scalars.parent.name
        place.parent.mkdir(exist_ok=True)
        scalars.rename(place)


def pictures(card: Card, folder: Path) -> Dataset | Examples:
    """The labelled images in `folder`; or, where they simply lie in it, images without labels.

    Raises:
        DataError: other labels than the model's, or plain images of several sizes.
    """
    tables = list(folder.glob("*.csv")) if folder.is_dir() else []
    if not folder.is_dir() or tables or not any(is_image(path) for path in folder.iterdir()):
        return images_for(card, folder)
    read = [card.preprocessing.read(path) for path in find_images([folder])]
    if len({image.shape for image in read}) > 1:
        raise DataError(f"The images in {folder} have several sizes: give them a labels.csv.")
    return Examples(torch.stack(read), torch.zeros(len(read), dtype=torch.int64))


def show_compressed(known: Mapping[str, Cost], found: Mapping[str, OutOfFold], where: str) -> None:
    """Size, time, memory and score of each, and what has become of them since the first."""
    show("what each takes", costs_table(known))
    tell("ms: processor time of one image on one thread. memory: what loading and asking adds.")
    first, *_ = found
    title = f"{unit(found[first].task.leading)} on {where}, {INTERVALS}"
    show(title, scores_by_row(found))
    say_verdicts(found)


def costs_table(known: Mapping[str, Cost]) -> Table:
    """A row each: size, time and memory, and how many times smaller and faster than the first."""
    first, *_ = known
    heads = ("MB", "ms", "memory MB", "smaller", "faster")
    table = Table("", *heads, box=None, padding=(0, 2, 0, 0))
    for name, cost in known.items():
        memory = "not known" if cost.memory is None else f"{cost.memory:.1f}"
        cells = [f"{cost.megabytes:.3f}", f"{cost.milliseconds:.2f}", memory]
        if name != first:
            cells += [f"{times:.1f}x" for times in ratios(known[first], cost)]
        table.add_row(name, *cells)
    return table


def scores_by_row(found: Mapping[str, OutOfFold]) -> Table:
    """A row each: the leading metric, and its difference to the first."""
    first, *_ = found
    metric = found[first].task.leading
    table = Table("", unit(metric), "difference", box=None, padding=(0, 2, 0, 0))
    for name, answers in found.items():
        minus = "" if name == first else cell(metric, answers.minus(found[first], metric))
        table.add_row(name, cell(metric, answers.interval(metric)), minus)
    return table


def ratios(before: Cost, after: Cost) -> tuple[float, float]:
    """How many times smaller and faster."""
    return before.megabytes / after.megabytes, before.milliseconds / after.milliseconds
