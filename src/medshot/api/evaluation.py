"""Evaluation of learners and predictors on labeled images: scores, paired differences, report.

Diagnostic rates are of each class against the rest: sensitivity, specificity, PPV, NPV.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from medshot.api.doubts import overconfidence
from medshot.core import Card, DataError, Learner, Predictor, Result, Table, versions
from medshot.data.dataset import Dataset
from medshot.data.load import images_for, in_form, load_one, refuse_learned_from
from medshot.data.readers.registry import kind_of
from medshot.evaluation import report as r
from medshot.evaluation.comparison import Comparison, paired
from medshot.evaluation.cross_validation import OutOfFold, answered, cross_validate
from medshot.evaluation.episodes import refuse_seen
from medshot.evaluation.report.build import from_folds, provenance_of, reliability_of
from medshot.evaluation.report.text import in_words, verdict
from medshot.evaluation.statistics import Interval
from medshot.presenters import kind_called
from medshot.training.progress import Watch, quiet

RATES: Mapping[str, str] = MappingProxyType(
    {
        "sensitivity": "fraction of the images with the class that are predicted to have it",
        "specificity": "fraction of the images without it that are predicted not to have it",
        "positive predictive value": "fraction of the images predicted to have it that do",
        "negative predictive value": "fraction of the images predicted not to have it that do not",
    }
)


def rates_of(found: OutOfFold) -> list[dict[str, Interval]]:
    """The `RATES` of each class, with intervals over patients.

    A rate without images (of a class that is absent or never predicted) is NaN. The list is empty
    for tasks without class decisions per image.
    """
    decisions = found.task.decisions(found.decoded, found.y)
    if decisions is None:
        return []
    rate, rates = found.sample.rate, []
    for has, said in zip(*(each.T for each in decisions), strict=True):
        pairs = (said, has), (~said, ~has), (has, said), (~has, ~said)
        rates.append({name: rate(*pair) for name, pair in zip(RATES, pairs, strict=True)})
    return rates


def calibration_error(found: OutOfFold) -> Interval | None:
    """Expected calibration error, a fraction; None unless one class per image is predicted.

    The interval is a bootstrap over patients, extended to include the value. Source: as
    `medshot.evaluation.report.build.reliability_of` computes it.
    """
    if found.task.link != "softmax" or found.task.on_grid:
        return None
    value = _error(found.decoded, found.y)
    drawn = [_error(found.decoded[index], found.y[index]) for index in found.draws()]
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Interval(value, min(float(low), value), max(float(high), value), found.sample.patients)


def _error(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    error = reliability_of(p, y).calibration_error
    return float("nan") if error is None else error


FEW = 30  # images, below which a note warns of wide intervals
CALIBRATION = "expected calibration error"


@dataclass(frozen=True, eq=False)
class Evaluation(Comparison, Result):
    """Predictions of several models for the same images; the others are compared with the first.

    `dataset` has the image form of the first model. A learner predicts out of fold.
    """

    cards: dict[str, Card]
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """A metric a row, a model a column; also differences and calibration errors."""
        table = super().table()
        errors = [calibration_error(of) for of in self.answers.values()]
        cells = tuple(each.text(CALIBRATION) for each in errors if each is not None)
        rows = ((f"{CALIBRATION} %", *cells),) if cells else ()
        return replace(table, rows=(*table.rows, *rows))

    def rates(self) -> dict[str, Table]:
        """Sensitivity, specificity and predictive values of each class, a table a model.

        Models whose task has no such rates are left out.
        """
        found = {name: rates_of(of) for name, of in self.answers.items()}
        return {
            name: Table(
                f"{name}, each class against the others, in percent",
                ("", "images", *RATES),
                tuple(_rate_rows(self.dataset, rates)),
            )
            for name, rates in found.items()
            if rates
        }

    def report(self, command: str = "") -> r.Report:
        """The evaluation as a page, with example predictions of the first model."""
        first, kind = self.answers[self.first], kind_called(self.dataset.kind)
        metrics, differences = from_folds(self.answers, self.unit)
        shown = kind.shown(self.dataset, first, f"Each image was predicted by {self.first}.")
        reliability = shown.get("reliability")
        doubts = overconfidence(reliability) if isinstance(reliability, r.Reliability) else ()
        card, of = self.cards[self.first], self.interval()
        about = {"evaluated on": f"{self.dataset.name}, hash {self.dataset.hash}"}
        summary = (
            f"On {self.size}, {self.first} reaches: {self.metrics[0]} "
            f"{in_words(r.Estimate(of.mean, of.low, of.high, of.n, 'a class is missing'))}."
        )
        for each in differences:
            difference = in_words(each.estimate, signed=True)
            summary += f" It is {verdict(each)} (difference {difference})."
        return r.Report(
            title=f"{self.dataset.name}: {', '.join(self.dataset.labels)}",
            summary=summary,
            support=replace(kind.support(self.dataset), heading="What it was evaluated on"),
            warnings=(*doubts, *self.notes, card.task.caution),
            metrics=replace(metrics, in_turn=False),
            differences=differences,
            compared=("first model", "other model"),
            tables=(*self._rates_on_page(), *shown.pop("tables", ())),
            provenance=provenance_of(card, about, command) if card.learner else None,
            **shown,
        )

    def to_json(self) -> dict[str, Any]:
        """All numbers, and on what they were measured."""
        found: dict[str, Any] = {}
        for name, of in self.answers.items():
            rows: dict[str, Any] = {m: vars(of.interval(m)) for m in self.metrics}
            source = {key: self.cards[name].data.get(key) for key in ("name", "hash")}
            found[name] = {"metrics": rows, "learned from": source}
            if name != self.first:
                found[name]["difference"] = {m: vars(self.minus(name, m)) for m in self.metrics}
            if rates := rates_of(of):
                found[name]["classes"] = {
                    label: {rate: vars(of_class) for rate, of_class in each.items()}
                    for label, each in zip(self.dataset.labels, rates, strict=True)
                }
            if (error := calibration_error(of)) is not None:
                found[name][CALIBRATION] = vars(error)
        about = {"data": self.dataset.about(), "notes": list(self.notes)}
        return {**about, "models": found, "versions": versions()}

    def _rates_on_page(self) -> Iterator[Table]:
        """The tables of rates with what each rate means, and the calibration error."""
        meaning = "; ".join(f"{rate}: {what}" for rate, what in RATES.items())
        for name, table in self.rates().items():
            caption = f"{table.caption} with 95 % intervals. {meaning}"
            if (error := calibration_error(self.answers[name])) is not None:
                caption += f". Its {CALIBRATION}: {error.text(CALIBRATION)} %"
            yield Table(caption, ("Class", "Images", *RATES), table.rows)


def _rate_rows(dataset: Dataset, rates: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    counts = dataset.counts()
    for label, each in zip(dataset.labels, rates, strict=True):
        yield label, str(counts[label]), *(of.whole_percent() for of in each.values())


def evaluated(
    named: Mapping[str, Predictor | Learner],
    data: Dataset | str | Path,
    watch: Callable[[str], Watch] = lambda name: quiet,
    task: str | None = None,
) -> Evaluation:
    """Predict all images of `data` with each model, a learner by cross-validation.

    Raises:
        DataError: the images have labels that a predictor does not know, or the predictors know
            different classes.
        LeakError: a model learned from some of the images, as far as its card says.
        SaveError: a predictor has no card.
    """
    cards = {n: m.known_card() for n, m in named.items() if isinstance(m, Predictor)}
    card = next(iter(cards.values()), None)
    if isinstance(data, Dataset):
        whole = data
    elif card:
        whole = images_for(card, Path(data))
    else:
        whole = load_one(Path(data), task=kind_of(Path(data), task))
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
    predictions = ((name, _predict(each, whole, watch(name))) for name, each in named.items())
    shown = in_form(cards[first], whole)
    ordered = {name: cards[name] for name in named}
    return Evaluation(shown, dict(paired(predictions)), ordered, tuple(_notes(shown)))


def _predict(model: Predictor | Learner, whole: Dataset, watch: Watch) -> OutOfFold:
    if isinstance(model, Learner):
        return cross_validate(model, whole, watch=watch)
    return answered(model, in_form(model.known_card(), whole), watch=watch)


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
