"""The axis that scores are drawn along, and which scores share one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medshot.core.task import is_share
from medshot.evaluation.report.scores import MetricRow, MetricsTable

TICKS = 10  # at most, along an axis


@dataclass(frozen=True, slots=True)
class Axis:
    """A score axis from low to high, in whole tenths."""

    low: float | int
    high: float | int

    def percent(self, value: float) -> str:
        """Return where a score lies along the axis, as an SVG length."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def ticks(self) -> list[float]:
        """Return a tick for each tenth; where the axis is long, for every 2, 5, 10, ... tenths."""
        tenths = range(round(self.low * 10), round(self.high * 10) + 1)
        step = 1 if len(tenths) <= 6 else round(10 * step_of(self.high - self.low, TICKS))
        return [tenth / 10 for tenth in tenths if tenth % step == 0]


def drawn(metrics: MetricsTable) -> list[MetricRow]:
    """Return the rows that share an axis: those with a unit of their own are in the table alone."""
    return [row for row in metrics.rows if is_share(row.name)]


def axis_for(rows: Sequence[MetricRow]) -> Axis:
    """Return the shortest axis in tenths that shows every estimate, interval and chance level."""
    values = [row.chance for row in rows if row.chance is not None]
    for row in rows:
        for estimate in row.estimates:
            values += [estimate.mean, estimate.low, estimate.high]
    shown = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low = math.floor(round(min(shown) * 10, 6)) / 10
    high = math.ceil(round(max(shown) * 10, 6)) / 10
    return Axis(low, high if high > low else low + 0.1)


def step_of(length: float | int, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that divides `length` into at most so many."""
    power = 10.0 ** math.floor(math.log10(length / most))
    return next(power * n for n in (1, 2, 5, 10) if length / (power * n) <= most + 1e-9)
