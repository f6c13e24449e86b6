"""Small charts as inline SVG; colours come from the page, so they follow light, dark and print.

Strips have no viewBox: positions are in percent, so lines stretch while text keeps its size.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from medshot.core.task import is_share
from medshot.evaluation.report.scores import Confusion, Estimate, MetricsTable, Reliability
from medshot.evaluation.report.words import interval, number

SIDE = 240
LARGEST_DOT = 9.0
SMALLEST_DOT = 2.5


@dataclass(frozen=True, slots=True)
class Axis:
    """A score axis from low to high, in whole units: tenths, where scores are shares."""

    low: float | int
    high: float | int
    unit: float = 0.1

    def percent(self, value: float) -> str:
        """Return where a score lies along the axis, as an SVG length."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def ticks(self) -> list[float]:
        """Return a tick for each unit, or for every second one where the axis is long."""
        units = range(round(self.low / self.unit), round(self.high / self.unit) + 1)
        step = 1 if len(units) <= 6 else 2
        return [round(n * self.unit, 9) for n in units if n % step == 0]


def panels(metrics: MetricsTable) -> list[MetricsTable]:
    """Return what can be drawn on one axis: all shares together, and each other metric alone."""
    shares = tuple(row for row in metrics.rows if is_share(row.name))
    others = [(row,) for row in metrics.rows if not is_share(row.name)]
    return [replace(metrics, rows=rows) for rows in (*others, shares) if rows]


def axis_for(metrics: MetricsTable) -> Axis:
    """Return the shortest axis that shows every estimate, interval and chance level of a panel."""
    values = [row.chance for row in metrics.rows if row.chance is not None]
    for row in metrics.rows:
        for estimate in row.estimates:
            values += [estimate.mean, estimate.low, estimate.high]
    shown = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    unit = 0.1 if is_share(metrics.rows[0].name) else _round_unit(max(shown) - min(shown))
    low = round(math.floor(round(min(shown) / unit, 6)) * unit, 9)
    high = round(math.ceil(round(max(shown) / unit, 6)) * unit, 9)
    return Axis(low, high if high > low else low + unit, unit)


def _round_unit(span: float) -> float:
    """Return 1, 2 or 5 times a power of ten, of which three to eight fit into the span."""
    power = 10 ** math.floor(math.log10(span / 3)) if span > 0 else 0.1
    return max(step * power for step in (1, 2, 5) if span <= 0 or step * power <= span / 3 + 1e-12)


def interval_strip(
    name: str, estimate: Estimate, axis: Axis, chance: float | None, leads: bool
) -> Markup:
    """Draw one estimate as a dot on its interval: filled for the learner, open for a baseline."""
    marks = [_upright(axis.percent(tick), "grid") for tick in axis.ticks()]
    if chance is not None:
        marks.append(_upright(axis.percent(chance), "chance"))
    if estimate.has_interval:
        bar = Markup('<line class="bar" x1="{}" x2="{}" y1="50%" y2="50%"/>')
        marks.append(bar.format(axis.percent(estimate.low), axis.percent(estimate.high)))
    if estimate.has_mean:
        dot = Markup('<circle class="dot" cx="{}" cy="50%" r="4.5"/>')
        marks.append(dot.format(axis.percent(estimate.mean)))
    else:
        marks.append(Markup('<text y="50%" dominant-baseline="central">undefined</text>'))
    label = f"{name}: {number(estimate.mean)}, {interval(estimate)}"
    kind = "strip leads" if leads else "strip"
    return Markup('<svg class="{}" role="img" aria-label="{}">{}</svg>').format(
        kind, label, _join(marks)
    )


def axis_strip(axis: Axis) -> Markup:
    """Draw the numbers under the strips."""
    text = Markup('<text x="{}" y="12" text-anchor="middle">{}</text>')
    digits = max(0, -math.floor(math.log10(axis.unit) + 1e-9))
    ticks = _join(text.format(axis.percent(t), f"{t:.{digits}f}") for t in axis.ticks())
    return Markup('<svg class="strip" aria-hidden="true">{}</svg>').format(ticks)


def row_shares(confusion: Confusion) -> NDArray[np.float64]:
    """Return each count as a fraction of its row ``k k``; NaN where a truth never occurred."""
    counts = confusion.counts.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def reliability_diagram(reliability: Reliability) -> Markup:
    """Draw accuracy against confidence, each bin a dot whose area follows its count."""
    largest = max(1, int(reliability.count.max(initial=0)))
    dots: list[Markup] = []
    for confidence, accuracy, n in filled_bins(reliability):
        radius = max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(n / largest))
        dot = '<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>'
        dots.append(Markup(dot).format(SIDE * confidence, SIDE * (1 - accuracy), radius))
    return Markup(
        '<svg class="square" role="img" viewBox="-44 -12 300 300"'
        ' aria-label="Accuracy against confidence; the numbers are in the table.">'
        '<rect class="frame" width="{0}" height="{0}"/>{1}'
        '<line class="chance" x1="0" y1="{0}" x2="{0}" y2="0"/>{2}'
        '<text x="120" y="276" text-anchor="middle">confidence</text>'
        '<text transform="translate(-32 120) rotate(-90)" text-anchor="middle">accuracy</text>'
        "</svg>"
    ).format(SIDE, _square_ticks(), _join(dots))


def filled_bins(reliability: Reliability) -> list[tuple[float, float, int]]:
    """Return (confidence, accuracy, count) of each bin that holds a prediction."""
    rows = zip(reliability.confidence, reliability.accuracy, reliability.count, strict=True)
    return [(float(confidence), float(accuracy), int(n)) for confidence, accuracy, n in rows if n]


def _square_ticks() -> Markup:
    tick = Markup(
        '<text x="{0:.0f}" y="256" text-anchor="middle">{2:.1f}</text>'
        '<text x="-6" y="{1:.0f}" text-anchor="end">{2:.1f}</text>'
    )
    return _join(tick.format(SIDE * v, SIDE * (1 - v) + 4, v) for v in (0.0, 0.5, 1.0))


def _upright(x: str, kind: str) -> Markup:
    return Markup('<line class="{0}" x1="{1}" x2="{1}" y1="0" y2="100%"/>').format(kind, x)


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)
