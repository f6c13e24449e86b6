"""Small charts as inline SVG; colours come from the page, so they follow light, dark and print.

Strips have no viewBox: positions are in percent, so lines stretch while text keeps its size.
"""

import math
from collections.abc import Iterable

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from medshot.evaluation.report.axis import Axis
from medshot.evaluation.report.scores import (
    Confusion,
    Estimate,
    Reliability,
)
from medshot.evaluation.report.words import interval, number

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
    """Draw the numbers under the strips."""
    text = Markup('<text x="{}" y="12" text-anchor="middle">{:.1f}</text>')
    ticks = _join(text.format(axis.percent(tick), tick) for tick in axis.ticks())
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
