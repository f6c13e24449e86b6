"""What `medshot fuse` does between reading models and writing one: fuse, and judge beside."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, DataError, unknown
from medshot.core.predictor import Predictor
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.load import images_for
from medshot.evaluation.comparison import Comparison
from medshot.evaluation.cross_validation import answered
from medshot.nn.ensemble import EnsembleMembers
from medshot.stages.fuse.compatibility import agreed, refuse_learned_from
from medshot.stages.fuse.evaluate import answers_of, best_of, left_out
from medshot.stages.fuse.fuse import HOWS, fuse, mean_of
from medshot.stages.fuse.snapshots import fused_snapshots
from medshot.stages.fuse.weights import outputs_of
from medshot.training.progress import Watch, quiet

SNAPSHOTS = "snapshots"
CROSSED = ("weighted", "stack")  # judged out of fold where there are no other images


@dataclass(frozen=True)
class Fusing:
    """Models by the names that they were typed with, and how they are to be fused."""

    models: Mapping[str, Predictor]
    how: str
    options: Mapping[str, Any]  # of snapshots

    def __post_init__(self) -> None:
        if self.how not in (*HOWS, SNAPSHOTS):
            raise unknown(self.how, (*HOWS, SNAPSHOTS), kind="way to fuse")
        if self.how == SNAPSHOTS and len(self.models) != 1:
            raise ConfigError(f"Snapshots are of one model, not of {len(self.models)}.")
        if self.how != SNAPSHOTS and self.options:
            names = ", ".join(f"--{name}" for name in self.options)
            raise ConfigError(f"{names} is for --how snapshots: leave it out.")

    @cached_property
    def parts(self) -> EnsembleMembers:
        """All models, asked together."""
        models = list(self.models.values())
        return mean_of(models, [models[0].known_card()] if self.how == SNAPSHOTS else self.cards)

    @cached_property
    def cards(self) -> list[Card]:
        """The cards of models that agree."""
        return agreed(list(self.models.values()))

    def images(self, folder: Path) -> Dataset:
        """The images in `folder`, in the form of the largest that a model takes."""
        return images_for(self.parts.known_card(), folder)


@dataclass(frozen=True)
class Judgement:
    """Answers of the best part, the others and the whole, in this order."""

    scores: Comparison
    where: str
    warnings: tuple[str, ...]


def made(fusing: Fusing, shown: Dataset, working: Path, watch: Watch = quiet) -> Predictor:
    """The fused model, learned from `shown` where there is something to learn."""
    models = list(fusing.models.values())
    if fusing.how == SNAPSHOTS:
        return fused_snapshots(models[0], shown, folder=working, watch=watch, **fusing.options)
    return fuse(models, shown, how=fusing.how, watch=watch)


def judgement(fusing: Fusing, fused: Predictor, shown: Dataset, on: Dataset) -> Judgement:
    """How well each part and the whole do on `on`; the best part is chosen on `shown`."""
    parts, task = fusing.parts, fused.known_card().task
    outputs = outputs_of(parts, on.examples())
    chosen_by = outputs if on is shown else outputs_of(parts, shown.examples())
    best = best_of(chosen_by, shown.examples(), task)
    names = list(fusing.models)
    order = [best, *(i for i in range(len(names)) if i != best)]
    found = {names[i]: answers_of(outputs[i], on, task) for i in order}
    crossed = None
    if on is shown and fusing.how in CROSSED:
        crossed = left_out(outputs, on.examples(), task, fusing.how)
    found["fused"] = answered(fused, on) if crossed is None else answers_of(crossed, on, task)
    return Judgement(
        Comparison(on, found), on.name, _warnings(fusing, on is shown, crossed is not None, on)
    )


def _warnings(fusing: Fusing, same: bool, crossed: bool, on: Dataset) -> tuple[str, ...]:
    found = []
    if same and fusing.how == SNAPSHOTS:
        found.append("It learned from these very images, which flatters it: give others by --test.")
    elif same and not crossed and fusing.how not in ("mean", "soup"):
        found.append("It was fitted to these very images, which flatters it: give others, --test.")
    if same and crossed:
        found.append("The fused model's scores are of weights fitted without each image's patient.")
    try:
        refuse_learned_from([model.known_card() for model in fusing.models.values()], on)
    except DataError:
        found.append("A model learned from these very images: its scores here are too good.")
    return tuple(found)
