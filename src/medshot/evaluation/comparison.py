"""Paired comparison of several models on the same images, each with the first.

A single model gives scores without differences.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from medshot.core import Predictor, Table, Tabular
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold, answered
from medshot.evaluation.statistics import Interval, counted, with_unit


@dataclass(frozen=True, eq=False)
class Comparison(Tabular):
    """Predictions of several models for the same images; the first is the reference."""

    dataset: Dataset
    answers: dict[str, OutOfFold]  # predictions by model name, in the given order

    @property
    def first(self) -> str:
        """Name of the first model."""
        return next(iter(self.answers))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of the task, the leading one first."""
        return tuple(self.answers[self.first].task.metrics)

    def interval(self, metric: str = "", name: str = "") -> Interval:
        """A metric (default: the leading one) of a model (the first), with its 95% interval.

        The interval is over patients, or over images where no patient is known.
        """
        return self.answers[name or self.first].interval(metric or self.metrics[0])

    def minus(self, name: str, metric: str = "") -> Interval:
        """Paired difference of model `name` minus the first: above 0, `name` scores higher."""
        other, first = self.answers[name], self.answers[self.first]
        return other.minus(first, metric or self.metrics[0])

    @property
    def scores(self) -> dict[str, dict[str, Interval]]:
        """Every metric of every model: `.scores["lda"]["accuracy"].mean`."""
        return {n: {m: self.interval(m, n) for m in self.metrics} for n in self.answers}

    @property
    def differences(self) -> dict[str, Interval]:
        """Paired difference in the leading metric of each other model minus the first."""
        _, *others = self.answers
        return {name: self.minus(name) for name in others}

    def verdicts(self) -> list[str]:
        """One sentence per other model: better, worse or not distinguishable."""
        return [self._verdict(name, minus) for name, minus in self.differences.items()]

    def gains(self) -> dict[str, dict[str, Any]]:
        """JSON-serializable metrics with intervals, and differences to the first model."""
        rows: dict[str, dict[str, Any]] = {
            name: {metric: vars(interval) for metric, interval in row.items()}
            for name, row in self.scores.items()
        }
        for name, minus in self.differences.items():
            rows[name]["difference"] = vars(minus)
        return rows

    def table(self) -> Table:
        """One row per metric, one column per model, and paired differences to the first."""
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
        """Unit of the intervals: patient, or image where none is known."""
        return "patient" if self.dataset.has_patients else "image"

    def _verdict(self, name: str, minus: Interval) -> str:
        if minus.low == minus.high == 0:
            return f"By {self.metrics[0]}, {name} and {self.first} are the same on these images."
        if not math.isfinite(minus.low):
            return f"There are too few {self.unit}s to compare {name} with {self.first}."
        if minus.low > 0:
            return f"{name} is better than {self.first}."
        if minus.high < 0:
            return f"{name} is WORSE than {self.first}: by {self.metrics[0]}, keep {self.first}."
        return f"{name} and {self.first} are not distinguishable: the difference may be chance."


def compared(predictors: Mapping[str, Predictor], dataset: Dataset) -> Comparison:
    """Compare predictors on all images of `dataset`, without a check for leakage."""
    return Comparison(
        dataset, dict(paired((n, answered(p, dataset)) for n, p in predictors.items()))
    )


def paired(found: Iterator[tuple[str, OutOfFold]]) -> Iterator[tuple[str, OutOfFold]]:
    """Give all predictions the same patients and strata, so that differences are paired."""
    first: OutOfFold | None = None
    for name, of in found:
        first = first or of
        yield name, replace(of, groups=first.groups, strata=first.strata)
