"""A scatter as inline SVG: the answer upwards, the truth to the right, on one scale."""

import math

from markupsafe import Markup

from medshot.evaluation.report.axis import step_of
from medshot.evaluation.report.numbers import Scatter

SIDE = 240
TICKS = 5  # at most, along an axis
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
    """Draw one dot an image: on the diagonal the answer is right."""
    values = [float(v) for v in (*given.truth, *given.answer) if math.isfinite(v)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    wide = (high - low) or 1.0

    def along(value: float) -> float:
        return SIDE * (0.03 + 0.94 * (value - low) / wide)

    radius = 3.5 if len(given.truth) <= 200 else 2
    pairs = zip(given.truth.tolist(), given.answer.tolist(), strict=True)
    dots = [Markup(DOT).format(along(t), SIDE - along(a), radius) for t, a in pairs]
    step = step_of(wide, TICKS)
    marks = [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    ticks = [Markup(TICK).format(along(v), SIDE - along(v) + 4, v) for v in marks]
    return Markup(PAGE).format(SIDE, Markup("").join(ticks), Markup("").join(dots))
