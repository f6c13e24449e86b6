"""Fusion of saved models: scores of the members and the ensemble on the same images."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medshot.api.stage_runs import StageRun
from medshot.core import DataError, Predictor
from medshot.data.dataset import Dataset
from medshot.data.load import images_for
from medshot.evaluation.comparison import Comparison
from medshot.evaluation.cross_validation import answered
from medshot.nn.ensemble import EnsembleMembers
from medshot.stages.fuse.fuse import agreed, mean_of, refuse_training_data
from medshot.stages.fuse.stage import SNAPSHOTS, Fuse
from medshot.stages.fuse.weights import answers_of, best_member, left_out, outputs_of

CROSSED = ("weighted", "stack")  # evaluated out of fold where there are no other images


@dataclass(frozen=True)
class Judgement:
    """Scores of the best member, the others and the ensemble, in this order."""

    scores: Comparison
    where: str
    warnings: tuple[str, ...]


def together(stage: Fuse, models: Sequence[Predictor]) -> EnsembleMembers:
    """All models as one ensemble. Raises as `agreed` does where they cannot be fused."""
    cards = [models[0].known_card()] if stage.how == SNAPSHOTS else agreed(models)
    return mean_of(models, cards)


def judgement(
    stage: Fuse, models: Mapping[str, Predictor], fused: Predictor, shown: Dataset, on: Dataset
) -> Judgement:
    """Scores of each of `models` and of the ensemble on `on`; the best is chosen on `shown`."""
    parts, task = together(stage, list(models.values())), fused.known_card().task
    outputs = outputs_of(parts, on.examples())
    chosen_by = outputs if on is shown else outputs_of(parts, shown.examples())
    best = best_member(chosen_by, shown.examples(), task)
    names = list(models)
    order = [best, *(i for i in range(len(names)) if i != best)]
    found = {names[i]: answers_of(outputs[i], on, task) for i in order}
    crossed = None
    if on is shown and stage.how in CROSSED:
        crossed = left_out(outputs, on.examples(), task, stage.how)
    found["fused"] = answered(fused, on) if crossed is None else answers_of(crossed, on, task)
    return Judgement(
        Comparison(on, found),
        on.name,
        _warnings(stage, models, on is shown, crossed is not None, on),
    )


def _warnings(
    stage: Fuse, models: Mapping[str, Predictor], same: bool, crossed: bool, on: Dataset
) -> tuple[str, ...]:
    found = []
    if same and stage.how == SNAPSHOTS:
        found.append("It learned from these very images, which flatters it: give others by --test.")
    elif same and not crossed and stage.how not in ("mean", "soup"):
        found.append("It was fitted to these very images, which flatters it: give others, --test.")
    if same and crossed:
        found.append("The fused model's scores are of weights fitted without each image's patient.")
    try:
        refuse_training_data([model.known_card() for model in models.values()], on)
    except DataError:
        found.append("A model learned from these very images: its scores here are too good.")
    return tuple(found)


class FuseRun(StageRun[Any]):
    """Fusion, compared with every model, the best of them first."""

    refuses_shared = False  # what was fitted is evaluated out of fold, or a warning says it

    def read(self, folder: Path) -> Any:
        """The images in `folder`, in the largest form that a model takes."""
        return images_for(together(self.stage, self.given).known_card(), folder)

    def compare(self) -> Judgement:
        """Every model and the fused one."""
        return judgement(
            self.stage, self.models, self.predictor, self.train_images, self.test_images
        )

    def show(self) -> None:
        """Tell scores, and what makes them optimistic."""
        self.show_scores(self.scores.scores, self.scores.where)
        for warning in self.scores.warnings:
            self.tell(f"  - {warning}")

    def to_json(self) -> dict[str, Any]:
        """What was fused, and all scores."""
        seconds = round(time.monotonic() - self.began, 1)
        about = {"models": list(self.models), "on": self.scores.where}
        return {**self.noted, **about, "scores": self.scores.scores.gains(), "seconds": seconds}
