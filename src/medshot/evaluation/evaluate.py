"""How well saved predictors do on labelled images that they have not learned from."""

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
    """What models answered for the same images; the others are compared to the first.

    `dataset` is in the form of the first. A learner among the models answered out of fold.
    """

    cards: dict[str, Card]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All numbers, and on what they were measured."""
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
    """The scores of predictors, or of folders in which they were saved, on labelled images.

    `data` is a folder, or a data set. All predictors answer all of its images, so that they are
    compared patient by patient. A class of theirs may be missing from it. A learner answers them
    out of fold, by cross-validation. `watch` shows the images of the predictor whose name it is
    called with (of a learner, the folds).

    Raises:
        ConfigError: no predictor, or the same folder twice.
        DataError: the images are of another kind or have labels that a predictor does not know;
            or the predictors answer different questions.
        LeakError: a predictor learned from some of the images, as far as its card says.
        SaveError: a folder holds no predictor, or one of the predictors has no card.
    """
    named = dict(_named(models))
    if not models or len(named) < len(models):
        raise ConfigError("Name one predictor at least to evaluate, and each of them once.")
    return evaluated(named, data, watch)


def evaluated(
    named: Mapping[str, Predictor | Learner],
    data: Dataset | str | Path,
    watch: Callable[[str], Watch] = lambda name: quiet,
    task: str | None = None,
) -> Evaluation:
    """As `evaluate`, for models under names of their own; `task` is that of a folder."""
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
    """Predictors by the names of their folders, by their paths where two have one name."""
    folders = [Path(model).resolve().name for model in models if isinstance(model, str | Path)]
    for i, model in enumerate(models, 1):
        if not isinstance(model, str | Path):
            yield f"model {i}", model
        else:
            name = Path(model).resolve().name
            yield name if folders.count(name) == 1 else str(model), load_predictor(model)


def _refuse_other(first: Card, card: Card, name: str, other: str) -> None:
    if card.kind != first.kind:
        raise DataError(f"{name} does {first.kind}, and {other} {card.kind}: evaluate them apart.")
    if card.labels != first.labels:
        raise DataError(
            f"{name} knows {', '.join(first.labels)}, and {other} {', '.join(card.labels)}: scores "
            "over other classes cannot be compared. Evaluate them apart."
        )


def _notes(dataset: Dataset) -> Iterator[str]:
    """Doubts about such images, and what is not on them."""
    if missing := [label for label, count in dataset.counts().items() if not count]:
        yield (
            f"No image of {dataset.name} shows {', '.join(missing)}: nothing is known of how well "
            "that is told, and metrics that need every class are undefined."
        )
    if len(dataset) < FEW:
        yield f"Only {len(dataset)} images: the intervals are wide, and so is the truth."
    yield from dataset.notes


def _source(card: Card) -> dict[str, Any]:
    return {name: card.data.get(name) for name in ("name", "hash")}
