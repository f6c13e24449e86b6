"""Compression steps as typed: each by itself, all of them in a chain, and a table of costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from medshot import Stage
from medshot.api.resolve import named_encoder, parse_options
from medshot.app.render import INTERVALS, cell, show, unit
from medshot.app.stage import say_verdicts
from medshot.app.terminal import say, tell
from medshot.core.episode import Examples
from medshot.core.errors import ConfigError, DataError, TaskError
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.load import images_for
from medshot.data.tables.manifest import find_images, is_image
from medshot.evaluation.comparison import Comparison
from medshot.stages.compress.cost import Cost
from medshot.stages.compress.imitation import Images
from medshot.stages.compress.stage import SIZES, Compress
from medshot.training.progress import progress_bar

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


def show_compressed(known: Mapping[str, Cost], found: Comparison, where: str) -> None:
    """Size, time, memory and score of each, and what has become of them since the first."""
    show("what each takes", costs_table(known))
    tell("ms: processor time of one image on one thread. memory: what loading and asking adds.")
    title = f"{unit(found.metrics[0])} on {where}, {INTERVALS}"
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


def scores_by_row(found: Comparison) -> Table:
    """A row each: the leading metric, and its difference to the first."""
    metric = found.metrics[0]
    table = Table("", unit(metric), "difference", box=None, padding=(0, 2, 0, 0))
    for name in found.answers:
        minus = "" if name == found.first else cell(metric, found.minus(name))
        table.add_row(name, cell(metric, found.interval(metric, name)), minus)
    return table


def ratios(before: Cost, after: Cost) -> tuple[float, float]:
    """How many times smaller and faster."""
    return before.megabytes / after.megabytes, before.milliseconds / after.milliseconds


# images, the options of learning, the predictor so far, a folder for checkpoints
Wanted = Callable[[Images, Mapping[str, Any], Predictor, Path], Predictor]


def wanted_steps(
    original: Predictor,
    *,
    prune: float | None,
    distil: str | None,
    quantise: str | None,
    given: Sequence[str],
    seed: int,
) -> dict[str, Wanted]:
    """The steps by name. All are checked here, before any of them begins.

    Raises:
        ConfigError: there is none, or one that cannot be.
    """
    stage = Compress(
        prune=prune, distil=distil, quantise=quantise, set_=parse_options(given), seed=seed
    )
    if distil is not None and distil not in SIZES:
        form: Any = original.known_card().preprocessing
        sides = {"channels": form.channels} | ({"size": form.size} if form.dims == 2 else {})
        stage = replace(stage, network=named_encoder(distil, given, **sides))
    return {name: _wanted(step) for name, step in stage.chain(original).items()}


def _wanted(stage: Stage) -> Wanted:
    def step(
        images: Images, options: Mapping[str, Any], predictor: Predictor, folder: Path
    ) -> Predictor:
        taken = {each.name for each in stage.options()} & options.keys()
        told = replace(stage, **{name: options[name] for name in taken})
        return told(predictor, images, folder=folder, watch=progress_bar(stage.name))

    return step
