"""How well saved predictors do on labelled images that they have not learned from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, DataError
from medshot.core.predictor import Predictor, load_predictor, versions
from medshot.core.task import Card
from medshot.data.dataset import Dataset
from medshot.data.load import images_for, in_form, refuse_learned_from
from medshot.evaluation.cross_validation import OutOfFold, answered
from medshot.evaluation.diagnostic_rates import calibration_error, rates_of
from medshot.evaluation.statistics import Interval
from medshot.training.progress import Watch, quiet

FEW = 30


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What predictors answered for the same images; the others are compared to the first."""

    dataset: Dataset  # in the form of the first
    answers: dict[str, OutOfFold]  # by the predictor's name, in the order given
    cards: dict[str, Card]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> str:
        """The name of the first predictor."""
        return next(iter(self.answers))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the task, the one to compare by first."""
        return tuple(self.answers[self.first].task.metrics)

    def interval(self, metric: str = "", name: str = "") -> Interval:
        """A metric (the leading one) of a predictor (the first), with its 95 % interval.

        The interval is a bootstrap over patients, or over images where no patient is known.
        """
        return self.answers[name or self.first].interval(metric or self.metrics[0])

    def minus(self, name: str, metric: str = "") -> Interval:
        """The paired difference of predictor `name` to the first: above 0, `name` scores higher."""
        other, first = self.answers[name], self.answers[self.first]
        return other.minus(first, metric or self.metrics[0])

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

    def __str__(self) -> str:
        lines = [f"{self.dataset.name}: {len(self.dataset)} images"]
        for name in self.answers:
            scores = (f"{m} {_short(self.interval(m, name))}" for m in self.metrics)
            lines.append(f"{name}: {', '.join(scores)}")
            if name != self.first:
                minus = _short(self.minus(name))
                lines.append(f"{name} minus {self.first}: {self.metrics[0]} {minus}, paired")
        return "\n".join(lines)


def evaluate(
    *models: Predictor | str | Path,
    data: Dataset | str | Path,
    watch: Callable[[str], Watch] = lambda name: quiet,
) -> Evaluation:
    """The scores of predictors, or of folders in which they were saved, on labelled images.

    `data` is a folder, or a data set. All predictors answer all of its images, so that they are
    compared patient by patient. A class of theirs may be missing from it. `watch` shows the images
    of the predictor whose name it is called with.

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
    cards = {name: predictor.known_card() for name, predictor in named.items()}
    first, *others = cards
    for name in others:
        _refuse_other(cards[first], cards[name], first, name)
    whole = data if isinstance(data, Dataset) else images_for(cards[first], Path(data))
    for name, card in cards.items():
        refuse_learned_from(card, whole, name)
    found: dict[str, OutOfFold] = {}
    shown = in_form(cards[first], whole)
    for name, predictor in named.items():
        fitted = in_form(cards[name], whole)
        of = answered(predictor, fitted, watch=watch(name))
        before = found.get(first, of)  # the same patients are drawn, whatever the form of a mask
        found[name] = replace(of, groups=before.groups, strata=before.strata)
    return Evaluation(shown, found, cards, tuple(_notes(shown)))


def _named(models: tuple[Predictor | str | Path, ...]) -> Iterator[tuple[str, Predictor]]:
    """Predictors by the names of their folders, by their paths where two have one name."""
    folders = [Path(model).resolve().name for model in models if not isinstance(model, Predictor)]
    for i, model in enumerate(models, 1):
        if isinstance(model, Predictor):
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


def _short(found: Interval) -> str:
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"
