"""Answers of several models for the same images, each compared with the first, patient by patient.

The scores of one alone are a comparison of one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from medshot.core.predictor import Predictor
from medshot.core.table import Table, Tabular
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold, answered
from medshot.evaluation.statistics import Interval, counted, with_unit


@dataclass(frozen=True, eq=False)
class Comparison(Tabular):
    """What models answered for the same images; the others are compared with the first."""

    dataset: Dataset
    answers: dict[str, OutOfFold]  # by the model's name, in the order given

    @property
    def first(self) -> str:
        """The name of the first model."""
        return next(iter(self.answers))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the task, the one to compare by first."""
        return tuple(self.answers[self.first].task.metrics)

    def interval(self, metric: str = "", name: str = "") -> Interval:
        """A metric (the leading one) of a model (the first), with its 95 % interval.

        The interval is a bootstrap over patients, or over images where no patient is known.
        """
        return self.answers[name or self.first].interval(metric or self.metrics[0])

    def minus(self, name: str, metric: str = "") -> Interval:
        """The paired difference of model `name` to the first: above 0, `name` scores higher."""
        other, first = self.answers[name], self.answers[self.first]
        return other.minus(first, metric or self.metrics[0])

    @property
    def scores(self) -> dict[str, dict[str, Interval]]:
        """Every metric of every model: `.scores["lda"]["accuracy"].mean`."""
        return {n: {m: self.interval(m, n) for m in self.metrics} for n in self.answers}

    @property
    def differences(self) -> dict[str, Interval]:
        """The leading metric of each model but the first, minus that of the first, paired."""
        _, *others = self.answers
        return {name: self.minus(name) for name in others}

    def verdicts(self) -> list[str]:
        """Whether each other model is better or worse than the first, where images can tell."""
        return [self._verdict(name, minus) for name, minus in self.differences.items()]

    def gains(self) -> dict[str, dict[str, Any]]:
        """In the terms of JSON: every metric with its interval, and the difference to the first."""
        rows: dict[str, dict[str, Any]] = {
            name: {metric: vars(interval) for metric, interval in row.items()}
            for name, row in self.scores.items()
        }
        for name, minus in self.differences.items():
            rows[name]["difference"] = vars(minus)
        return rows

    def table(self) -> Table:
        """A metric a row, a model a column, and the paired differences to the first."""
        rows = [
            (with_unit(metric), *(self.interval(metric, n).text(metric) for n in self.answers))
            for metric in self.metrics
        ]
        if minus := self.differences:
            leading = self.metrics[0]
            cells = (each.text(leading) for each in minus.values())
            rows.append((f"{with_unit(leading)}, difference", "", *cells))
        caption = f"on {self.dataset.name} ({self.size}), 95 % intervals over {self.unit}s"
        return Table(caption, ("", *self.answers), tuple(rows))

    @property
    def size(self) -> str:
        """`120 labelled images of 40 patients`; patients where they are known."""
        images = counted(len(self.dataset), "labelled image")
        n = self.interval().n
        return f"{images} of {counted(n, 'patient')}" if self.dataset.has_patients else images

    @property
    def unit(self) -> str:
        """What is drawn again for an interval: patient, or image where none is known."""
        return "patient" if self.dataset.has_patients else "image"

    def _verdict(self, name: str, minus: Interval) -> str:
        if minus.low == minus.high == 0:
            return f"By {self.metrics[0]}, {name} and {self.first} are the same on these images."
        if minus.low > 0:
            return f"{name} is better than {self.first}."
        if minus.high < 0:
            return f"{name} is WORSE than {self.first}: by {self.metrics[0]}, keep {self.first}."
        return f"These images do not tell {name} from {self.first}: the difference may be chance."


def compared(predictors: Mapping[str, Predictor], dataset: Dataset) -> Comparison:
    """The answers of each for the same images, whether it learned from them or not."""
    return Comparison(
        dataset, dict(paired((n, answered(p, dataset)) for n, p in predictors.items()))
    )


def paired(found: Iterator[tuple[str, OutOfFold]]) -> Iterator[tuple[str, OutOfFold]]:
    """Answers in which the same patients are drawn, whatever the form of a mask."""
    first: OutOfFold | None = None
    for name, of in found:
        first = first or of
        yield name, replace(of, groups=first.groups, strata=first.strata)
