"""Members of an ensemble and the whole, judged on the same images, as `medshot fuse` shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medshot.core.errors import DataError
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.evaluation.comparison import Comparison
from medshot.evaluation.cross_validation import answered
from medshot.nn.ensemble import EnsembleMembers
from medshot.stages.fuse.compatibility import agreed, refuse_learned_from
from medshot.stages.fuse.evaluate import answers_of, best_of, left_out
from medshot.stages.fuse.fuse import mean_of
from medshot.stages.fuse.stage import SNAPSHOTS, Fuse
from medshot.stages.fuse.weights import outputs_of

CROSSED = ("weighted", "stack")  # judged out of fold where there are no other images


@dataclass(frozen=True)
class Judgement:
    """Answers of the best part, the others and the whole, in this order."""

    scores: Comparison
    where: str
    warnings: tuple[str, ...]


def together(stage: Fuse, models: Sequence[Predictor]) -> EnsembleMembers:
    """All models, asked together. Raises as `agreed` does where they cannot be fused."""
    cards = [models[0].known_card()] if stage.how == SNAPSHOTS else agreed(models)
    return mean_of(models, cards)


def judgement(
    stage: Fuse, models: Mapping[str, Predictor], fused: Predictor, shown: Dataset, on: Dataset
) -> Judgement:
    """How well each of `models` and the whole do on `on`; the best one is chosen on `shown`."""
    parts, task = together(stage, list(models.values())), fused.known_card().task
    outputs = outputs_of(parts, on.examples())
    chosen_by = outputs if on is shown else outputs_of(parts, shown.examples())
    best = best_of(chosen_by, shown.examples(), task)
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
        refuse_learned_from([model.known_card() for model in models.values()], on)
    except DataError:
        found.append("A model learned from these very images: its scores here are too good.")
    return tuple(found)
