"""Compression of a saved model: each step alone, the chain of all, costs and scores."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from medshot.api.resolve import named_encoder
from medshot.api.stage_runs import StageRun
from medshot.core import Card, ConfigError, DataError, Examples, Predictor, Table, TaskError
from medshot.data.dataset import Dataset
from medshot.data.load import images_for
from medshot.data.tables.manifest import find_images, is_image
from medshot.evaluation.comparison import Comparison, compared
from medshot.evaluation.statistics import INTERVALS, with_unit
from medshot.stages.base import Stage
from medshot.stages.compress.cost import cost_table, costs
from medshot.stages.compress.imitation import Images
from medshot.stages.compress.stage import SIZES, Compress
from medshot.training.progress import Watch

Step = Callable[[Predictor, Path | None], Predictor]  # the folder is for its checkpoints
ORIGINAL = "original"


class CompressRun(StageRun[Compress]):
    """Each step alone and the chain, with what all cost; training images need no labels."""

    refuses_shared = False  # images without labels may be those of the test

    def configure(self, options: Mapping[str, Any]) -> Compress:
        """The chain; all of its steps are checked here."""
        torch.manual_seed(options.get("seed", 0))
        stage = super().configure(options)
        self.steps = steps_of(stage, self.given)
        return stage

    def read(self, folder: Path) -> Any:
        """Images, with or without labels where they are for training."""
        if folder == self.data:
            return pictures(self.given.known_card(), folder)
        return super().read(folder)

    def refuse(self) -> None:
        """Raise `DataError` if there are no labels to evaluate on."""
        if not isinstance(self.test_images, Dataset):
            raise DataError(
                f"{self.data} has no labels, so nothing can be judged on it: give --test."
            )

    def run(self, working: Path | None) -> Predictor:
        """Each step alone, and the chain, which is saved."""
        steps: dict[str, Step] = {
            name: partial(_run, step, self.train_images, self.watch)
            for name, step in self.steps.items()
        }
        self.all = in_steps(self.given, steps, working, self.tell)
        if working is not None:
            gather_scalars(working)
        *_, last = self.all.values()
        return last

    def compare(self) -> Comparison:
        """Scores and costs of all."""
        self.tell(f"Measuring speed, memory and scores of {len(self.all)} models ...")
        self.costs = costs(self.all)
        return compared(self.all, self.test_images)

    def show(self) -> None:
        """Tell costs and scores."""
        self.tell(cost_table(self.costs))
        self.tell(
            "ms: processor time of one image on one thread. memory: what loading and asking adds."
        )
        self.tell(score_table(self.scores, self.where))
        for verdict in self.scores.verdicts():
            self.tell(verdict)

    def to_json(self) -> dict[str, Any]:
        """Costs and scores of each."""
        (model,) = self.models
        return {
            "model": model,
            "data": str(self.data),
            "judged on": self.where,
            "stages": self.predictor.known_card().stages,
            "scores": self.scores.gains(),
            "costs": {name: vars(cost) for name, cost in self.costs.items()},
            "seconds": time.monotonic() - self.began,
        }


def steps_of(stage: Compress, original: Predictor) -> dict[str, Stage]:
    """The steps of the chain by name, each with its options, checked before any of them begins.

    Raises:
        ConfigError: a step that is impossible, or an unknown encoder or option of it.
    """
    if stage.distil is not None and stage.distil not in SIZES:
        form: Any = original.known_card().preprocessing
        sides = {"channels": form.channels} | ({"size": form.size} if form.dims == 2 else {})
        pairs = [f"{name}={value}" for name, value in stage.set_.items()]
        stage = replace(stage, network=named_encoder(stage.distil, pairs, **sides))
    learning = {"lr": stage.lr, "steps": stage.steps}
    return {
        name: replace(
            step,
            **{
                each.name: learning[each.name]
                for each in step.options()
                if learning.get(each.name) is not None
            },
        )
        for name, step in stage.chain(original).items()
    }


def _run(
    stage: Stage,
    images: Images,
    watch: Callable[[str], Watch],
    predictor: Predictor,
    folder: Path | None,
) -> Predictor:
    return stage(predictor, images, folder=folder, watch=watch(stage.name))


def in_steps(
    original: Predictor,
    steps: Mapping[str, Step],
    working: Path | None,
    tell: Callable[[str], None] = lambda said: None,
) -> dict[str, Predictor]:
    """The original, the result of each step alone, and that of all steps in turn.

    A later step that is impossible on the original may be possible on the result of the first: then
    `tell` is called, and the step alone is left out.
    """

    def place(name: str) -> Path | None:
        return None if working is None else working / name

    found, (first, *others) = {ORIGINAL: original}, steps
    found[first] = last = steps[first](original, place(first))
    for name in others:
        try:
            found[name] = steps[name](original, place(name))
        except (ConfigError, TaskError) as error:
            why = str(error).partition(". ")[0].removesuffix(".")
            tell(f"  - {name} alone is left out: {why}.")
    if others:
        for name in others:
            last = steps[name](last, place(f"{name} in the chain"))
        found[", ".join(steps)] = last
    return found


def gather_scalars(working: Path) -> None:
    """Move the TensorBoard files of all steps into one folder, working/tensorboard."""
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


def score_table(found: Comparison, where: str) -> Table:
    """A model a row: the leading metric, and its paired difference to the first."""
    metric = found.metrics[0]
    rows = tuple(
        (
            name,
            found.interval(metric, name).text(metric),
            "" if name == found.first else found.minus(name).text(metric),
        )
        for name in found.answers
    )
    return Table(f"on {where}, {INTERVALS}", ("", with_unit(metric), "difference"), rows)
