"""Charts as inline SVG: intervals, calibration, scatter. Colors come from the page's style sheet.

Strips have no viewBox: positions are in percent, so lines stretch while text keeps its size.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from medshot.core import is_fraction
from medshot.evaluation.report.model import (
    Confusion,
    Estimate,
    MetricRow,
    MetricsTable,
    Reliability,
    Scatter,
)
from medshot.evaluation.report.text import interval, number

TICKS = 10  # maximal number along an axis


@dataclass(frozen=True, slots=True)
class Axis:
    """A score axis from low to high, in whole tenths."""

    low: float | int
    high: float | int

    def percent(self, value: float) -> str:
        """Position of a score along the axis, as an SVG length."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def ticks(self) -> list[float]:
        """Ticks at each tenth or, on a long axis, every 2, 5, 10, ... tenths."""
        tenths = range(round(self.low * 10), round(self.high * 10) + 1)
        step = 1 if len(tenths) <= 6 else round(10 * step_of(self.high - self.low, TICKS))
        return [tenth / 10 for tenth in tenths if tenth % step == 0]


def shared_axis_rows(metrics: MetricsTable) -> list[MetricRow]:
    """Rows that share an axis; metrics with a unit of their own appear in the table only."""
    return [row for row in metrics.rows if is_fraction(row.name)]


def axis_for(rows: Sequence[MetricRow]) -> Axis:
    """The shortest axis in tenths that shows every estimate, interval and chance level."""
    values = [row.chance for row in rows if row.chance is not None]
    for row in rows:
        for estimate in row.estimates:
            values += [estimate.mean, estimate.low, estimate.high]
    shown = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low = math.floor(round(min(shown) * 10, 6)) / 10
    high = math.ceil(round(max(shown) * 10, 6)) / 10
    return Axis(low, high if high > low else low + 0.1)


def step_of(length: float | int, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten with at most `most` steps in `length`."""
    power = 10.0 ** math.floor(math.log10(length / most))
    return next(power * n for n in (1, 2, 5, 10) if length / (power * n) <= most + 1e-9)


SIDE = 240
LARGEST_DOT = 9.0
SMALLEST_DOT = 2.5


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
    """Draw the tick labels under the strips."""
    text = Markup('<text x="{}" y="12" text-anchor="middle">{:.1f}</text>')
    ticks = _join(text.format(axis.percent(tick), tick) for tick in axis.ticks())
    return Markup('<svg class="strip" aria-hidden="true">{}</svg>').format(ticks)


def row_shares(confusion: Confusion) -> NDArray[np.float64]:
    """Each count as a fraction of its row ``k k``; NaN for an empty row."""
    counts = confusion.counts.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)


def reliability_diagram(reliability: Reliability) -> Markup:
    """Plot accuracy against confidence, each bin a dot with area proportional to its count."""
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
    """(confidence, accuracy, count) of each nonempty bin."""
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


SCATTER_SIDE = 240
SCATTER_TICKS = 5  # maximal number along an axis
PAGE = (
    '<svg class="square" role="img" viewBox="-64 -12 320 300"'
    ' aria-label="Answers against the truth.">'
    '<rect class="frame" width="{0}" height="{0}"/>{1}'
    '<line class="chance" x1="0" y1="{0}" x2="{0}" y2="0"/>{2}'
    '<text x="120" y="280" text-anchor="middle">truth</text>'
    '<text transform="translate(-52 120) rotate(-90)" text-anchor="middle">answer</text>'
    "</svg>"
)
TICK = (
    '<text x="{0:.0f}" y="256" text-anchor="middle">{2:.4g}</text>'
    '<text x="-6" y="{1:.0f}" text-anchor="end">{2:.4g}</text>'
)
DOT = '<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="{}"/>'


def scatter(given: Scatter) -> Markup:
    """Scatter plot with one dot per image; correct predictions lie on the diagonal."""
    values = [float(v) for v in (*given.truth, *given.answer) if math.isfinite(v)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    wide = (high - low) or 1.0

    def along(value: float) -> float:
        return SCATTER_SIDE * (0.03 + 0.94 * (value - low) / wide)

    radius = 3.5 if len(given.truth) <= 200 else 2
    pairs = zip(given.truth.tolist(), given.answer.tolist(), strict=True)
    dots = [Markup(DOT).format(along(t), SCATTER_SIDE - along(a), radius) for t, a in pairs]
    step = step_of(wide, SCATTER_TICKS)
    marks = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    ticks = [Markup(TICK).format(along(v), SCATTER_SIDE - along(v) + 4, v) for v in marks]
    return Markup(PAGE).format(SCATTER_SIDE, Markup("").join(ticks), Markup("").join(dots))
