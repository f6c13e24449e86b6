"""Lines of a score against epsilon, as one SVG file that needs nothing else."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from medshot.core.errors import ConfigError
from medshot.evaluation.report.charts import step_of
from medshot.evaluation.statistics import Interval

WIDTH, HEIGHT = 420, 260  # of the frame
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe & Ito 2008
DASHES = ("", "6 3", "2 3", "8 3 2 3")

Point = tuple[str, float, Interval]  # as it is written, epsilon, the score there


@dataclass(frozen=True)
class Frame:
    """Where a score at an epsilon is drawn."""

    right: float  # the largest epsilon
    low: float
    high: float

    def at(self, epsilon: float, score: float) -> tuple[float, float]:
        """From the left, and from above."""
        down = HEIGHT * (self.high - score) / (self.high - self.low)
        return WIDTH * epsilon / self.right, down


def curve(lines: Mapping[str, Sequence[Point]], metric: str, title: str = "") -> str:
    """One line a name, with a bar for each interval; epsilon begins at 0.

    Raises:
        ConfigError: there is nothing to draw.
    """
    points = [point for line in lines.values() for point in line]
    if not any(epsilon > 0 for _, epsilon, _ in points):
        raise ConfigError("A curve needs at least one epsilon above 0.")
    scores = [v for _, _, i in points for v in (i.mean, i.low, i.high)]
    low, high = min(0.0, *scores), max(1.0, *scores)
    frame = Frame(max(epsilon for _, epsilon, _ in points), low, high)
    drawn = [_line(frame, i, name, line) for i, (name, line) in enumerate(lines.items())]
    parts = [_ticks(frame, points), *drawn]
    tall = HEIGHT + 90 + 18 * len(lines)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-56 -34 {} {}" font-size="12" '
        'font-family="sans-serif"><rect x="-56" y="-34" width="100%" height="100%" fill="#fff"/>'
        '<text x="0" y="-14">{}</text>{}<text x="{}" y="{}" text-anchor="middle">epsilon</text>'
        '<text transform="translate(-40 {}) rotate(-90)" text-anchor="middle">{}</text></svg>\n'
    ).format(
        *(WIDTH + 76, tall, title, Markup("").join(parts)),
        *(WIDTH / 2, HEIGHT + 34, HEIGHT / 2, metric),
    )


def _ticks(frame: Frame, points: Sequence[Point]) -> Markup:
    """The frame, a line at every round score, and each epsilon below."""
    border = Markup('<rect width="{}" height="{}" fill="none" stroke="#999"/>')
    step = step_of(frame.high - frame.low, 5)
    marks = [border.format(WIDTH, HEIGHT)]
    for n in range(math.ceil(frame.low / step), math.floor(frame.high / step + 1e-9) + 1):
        _, y = frame.at(0.0, n * step)
        mark = (
            '<line x2="{0}" y1="{1:.1f}" y2="{1:.1f}" stroke="#ddd"/>'
            '<text x="-6" y="{2:.1f}" text-anchor="end">{3:g}</text>'
        )
        marks.append(Markup(mark).format(WIDTH, y, y + 4, round(n * step, 6)))
    for said, epsilon in dict.fromkeys((said, epsilon) for said, epsilon, _ in points):
        x, _ = frame.at(epsilon, frame.low)
        mark = '<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
        marks.append(Markup(mark).format(x, HEIGHT + 16, said))
    return Markup("").join(marks)


def _line(frame: Frame, i: int, name: str, line: Sequence[Point]) -> Markup:
    """A line with its bars and dots, and its name below the frame."""
    colour, dash = COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]
    path = " ".join("{:.1f},{:.1f}".format(*frame.at(e, s.mean)) for _, e, s in line)
    stroke = Markup('stroke="{}" fill="none"').format(colour)
    marks = [Markup('<polyline points="{}" {} stroke-dasharray="{}"/>').format(path, stroke, dash)]
    for _, epsilon, score in line:
        x, y = frame.at(epsilon, score.mean)
        bar = '<line x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}" {3} opacity=".5"/>'
        ends = (frame.at(epsilon, end)[1] for end in (score.low, score.high))
        marks.append(Markup(bar).format(x, *ends, stroke))
        dot = '<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>'
        marks.append(Markup(dot).format(x, y, colour))
    y = HEIGHT + 54 + 18 * i
    key = '<line x1="0" x2="30" y1="{0}" y2="{0}" {1} stroke-dasharray="{2}"/>'
    marks.append(Markup(key).format(y, stroke, dash))
    marks.append(Markup('<text x="38" y="{}">{}</text>').format(y + 4, name))
    return Markup("").join(marks)
