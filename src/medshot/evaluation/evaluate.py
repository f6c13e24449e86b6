"""Evaluate saved predictors on labeled images that they have not learned from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, DataError
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor, load_predictor, versions
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.load import images_for, in_form, load_one, refuse_learned_from
from medshot.data.readers.registry import kind_of
from medshot.evaluation.comparison import Comparison, paired
from medshot.evaluation.cross_validation import OutOfFold, answered, cross_validate
from medshot.evaluation.diagnostic_rates import calibration_error, rates_of
from medshot.evaluation.episodes import refuse_seen
from medshot.training.progress import Watch, quiet

FEW = 30


@dataclass(frozen=True, eq=False)
class Evaluation(Comparison):
    """Predictions of several models for the same images; the first is the reference.

    `dataset` has the form of the first. Predictions of learners are out-of-fold.
    """

    cards: dict[str, Card]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All numbers, with the data they were measured on."""
        found: dict[str, Any] = {}
        for name, of in self.answers.items():
            rows: dict[str, Any] = {m: vars(of.interval(m)) for m in self.metrics}
            found[name] = {"metrics": rows, "learned from": _source(self.cards[name])}
            if name != self.first:
                found[name]["difference"] = {m: vars(self.minus(name, m)) for m in self.metrics}
            if rates := rates_of(of):
                found[name]["classes"] = {
                    label: {rate: vars(of_class) for rate, of_class in each.items()}
                    for label, each in zip(self.dataset.labels, rates, strict=True)
                }
            if (error := calibration_error(of)) is not None:
                found[name]["expected calibration error"] = vars(error)
        about = {"data": self.dataset.about(), "notes": list(self.notes)}
        return {**about, "models": found, "versions": versions()}


def evaluate(
    *models: Predictor | Learner | str | Path,
    data: Dataset | str | Path,
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> Evaluation:
    """Scores of predictors, or of folders with saved ones, on labeled images.

    `data` is a folder or a data set. All models predict all images and are compared patient by
    patient. Classes of a predictor may be missing from the data. Learners are cross-validated.
    `watch` returns a progress bar for the model name it is called with, over images or, for a
    learner, folds.

    Raises:
        ConfigError: no predictor, or the same folder twice.
        DataError: the images are of another task or have labels that a predictor does not know;
            or the predictors solve different tasks.
        LeakError: a predictor learned from some of the images, according to its card.
        SaveError: a folder holds no predictor, or one of the predictors has no card.
    """
    named = dict(_named(models))
    if not models or len(named) < len(models):
        raise ConfigError("Name at least one predictor to evaluate, and each of them once.")
    return evaluated(named, data, watch)


def evaluated(
    named: Mapping[str, Predictor | Learner],
    data: Dataset | str | Path,
    watch: Callable[[str], Watch] = lambda name: quiet,
    task: str | None = None,
) -> Evaluation:
    """As `evaluate`, for named models; `task` is that of a folder."""
    cards = {n: m.known_card() for n, m in named.items() if isinstance(m, Predictor)}
    whole = _loaded(data, next(iter(cards.values()), None), task)
    for name, model in named.items():
        if isinstance(model, Learner):
            refuse_seen(whole, getattr(model.encoder, "seen", ()))
            cards[name] = whole.support(model.encoder)[1]
    first, *others = named
    for name in others:
        _refuse_other(cards[first], cards[name], first, name)
    for name, model in named.items():
        if isinstance(model, Predictor):
            refuse_learned_from(cards[name], whole, name)
    answers = ((name, _answers(each, whole, watch(name))) for name, each in named.items())
    shown = in_form(cards[first], whole)
    ordered = {name: cards[name] for name in named}
    return Evaluation(shown, dict(paired(answers)), ordered, tuple(_notes(shown)))


def _loaded(data: Dataset | str | Path, card: Card | None, task: str | None) -> Dataset:
    if isinstance(data, Dataset):
        return data
    folder = Path(data)
    return images_for(card, folder) if card else load_one(folder, task=kind_of(folder, task))


def _answers(model: Predictor | Learner, whole: Dataset, watch: Watch) -> OutOfFold:
    if isinstance(model, Learner):
        return cross_validate(model, whole, watch=watch)
    return answered(model, in_form(model.known_card(), whole), watch=watch)


def _named(
    models: tuple[Predictor | Learner | str | Path, ...],
) -> Iterator[tuple[str, Predictor | Learner]]:
    """Predictors by the names of their folders, or by their paths where names collide."""
    folders = [Path(model).resolve().name for model in models if isinstance(model, str | Path)]
    for i, model in enumerate(models, 1):
        if not isinstance(model, str | Path):
            yield f"model {i}", model
        else:
            name = Path(model).resolve().name
            yield name if folders.count(name) == 1 else str(model), load_predictor(model)


def _refuse_other(first: Card, card: Card, name: str, other: str) -> None:
    if card.kind != first.kind:
        raise DataError(
            f"{name} does {first.kind}, but {other} does {card.kind}: evaluate them separately."
        )
    if card.labels != first.labels:
        raise DataError(
            f"{name} knows {', '.join(first.labels)}, but {other} knows {', '.join(card.labels)}: "
            "scores over different classes cannot be compared. Evaluate them separately."
        )


def _notes(dataset: Dataset) -> Iterator[str]:
    """Caveats of the scores: missing classes, few images, problems of the data."""
    if missing := [label for label, count in dataset.counts().items() if not count]:
        yield (
            f"No image of {dataset.name} shows {', '.join(missing)}: performance on it is unknown, "
            "and metrics that need every class are undefined."
        )
    if len(dataset) < FEW:
        yield f"Only {len(dataset)} images: the intervals are wide."
    yield from dataset.notes


def _source(card: Card) -> dict[str, Any]:
    return {name: card.data.get(name) for name in ("name", "hash")}
