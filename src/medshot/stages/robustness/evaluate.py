"""Accuracy under attacks at several epsilons, its curve as SVG, and signs of gradient masking."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from markupsafe import Markup

from medshot.core import ConfigError, Examples, Predictor, Result, Table, any_tensor, eval_mode
from medshot.core.atomic import write_text
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import AT_ONCE, OutOfFold, answered
from medshot.evaluation.report.charts import step_of
from medshot.evaluation.statistics import INTERVALS, Interval, with_unit
from medshot.stages.robustness.attacks import (
    FGSM,
    PGD,
    Attack,
    Square,
    gradient,
    losses_of,
    passes_gradient,
)
from medshot.stages.robustness.corruption import Corrupted, lost
from medshot.stages.robustness.harden import refuse_volumes
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.training.progress import Watch, quiet

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


STEPS = 10
MORE = 4  # times as many steps, to see whether PGD was done
QUERIES = 200


@dataclass(frozen=True, eq=False)
class Attacked:
    """The answers for images as one attack made them."""

    attack: Attack
    answers: OutOfFold


@dataclass(frozen=True, eq=False)
class Robustness(Result):
    """The answers for images as they are, and for attacked ones: the weakest attack first.

    `flat` is the share of images at which the loss has no slope at all, or None if not looked at;
    `corrupted` are the answers for corrupted images, by family, where they were asked for.
    """

    clean: OutOfFold
    attacked: tuple[Attacked, ...]
    flat: float | None = None
    corrupted: Mapping[str, Corrupted] = field(default_factory=dict)
    name: str = ""  # of the model
    data: str = ""  # name or folder of the images
    about: Mapping[str, Any] = field(default_factory=dict)  # noted beside the numbers
    notes: tuple[str, ...] = ()  # what makes the scores optimistic

    def table(self) -> Table:
        """The leading metric on clean images and under each attack."""
        return attack_table({self.name or "score": self}, self.data or "these images")

    def corruption_table(self) -> Table | None:
        """The score on corrupted images by family; None where it was not measured."""
        return corruption_table(self, self.data or "these images") if self.corrupted else None

    @property
    def verdict(self) -> str:
        """Whether gradients seem masked, in one sentence."""
        return verdict(self)

    @property
    def signs(self) -> list[str]:
        """Signs of masked gradients, a sentence each."""
        return signs(self)

    def plot(self, path: str | Path) -> Path:
        """Write the score by epsilon as an SVG file, atomically."""
        kinds = [kind for kind in (FGSM, PGD) if self.by(kind)] or [Square]
        lines = {kind.name.upper(): self.points(kind) for kind in kinds}
        write_text(Path(path), curve(lines, self.clean.task.leading, self.name))
        return Path(path)

    def by(self, kind: type[Attack]) -> list[Attacked]:
        """Those of one kind of attack, by epsilon and then by strength."""
        found = [row for row in self.attacked if isinstance(row.attack, kind)]
        return sorted(found, key=lambda row: (row.attack.budget.epsilon, row.attack.passes))

    def points(self, kind: type[Attack]) -> list[Point]:
        """The leading metric on clean images, and under one kind of attack at every epsilon.

        Of several at one epsilon, the strongest.
        """
        metric = self.clean.task.leading
        points: dict[float, Point] = {0.0: ("0", 0.0, self.clean.interval(metric))}
        for row in self.by(kind):
            threat = row.attack.budget
            points[threat.epsilon] = (str(threat), threat.epsilon, row.answers.interval(metric))
        return list(points.values())

    def to_json(self) -> dict[str, Any]:
        """Every metric with its interval."""
        rows = [{**a.attack.describe(), **_metrics(a.answers)} for a in self.attacked]
        found = {"clean": _metrics(self.clean), "attacked": rows, "flat": self.flat}
        worse = {family: each.to_json() for family, each in self.corrupted.items()}
        return {**self.about, **found, **({"corruptions": worse} if worse else {})}


def robustness(
    predictor: Predictor,
    dataset: Dataset,
    budgets: Sequence[ThreatModel],
    *,
    checks: bool = True,
    steps: int = STEPS,
    queries: int = QUERIES,
    seed: int = 0,
    watch: Watch = quiet,
) -> Robustness:
    """Clean and attacked answers: PGD at each of `budgets`, and, with `checks`, what tells of it.

    The checks are FGSM at each budget, and at the largest PGD with four times the steps and the
    square attack, which needs no gradient; see `medshot.stages.robustness.evaluate`. A predictor
    that passes no gradient to its images, as one in int8, meets the square attack alone, at each
    budget.

    Raises:
        ConfigError: an epsilon beyond the range of these images.
        TaskError: the predictor takes volumes.
    """
    refuse_volumes(predictor)
    task = predictor.known_card().task
    one = dataset.examples(torch.arange(1)).to(any_tensor(predictor))
    by_gradient = passes_gradient(predictor, task, one)
    if by_gradient:
        plan = _planned(budgets, checks, steps, queries, seed)
    else:
        plan = [Square(budget, queries=queries, seed=seed) for budget in _by_size(budgets)]
    found = []
    with watch(sum(attack.passes for attack in plan), 0) as tick:
        for done, attack in enumerate(plan, 1):
            change = lambda shown, attack=attack: attack(predictor, task, shown)  # noqa: E731
            found.append(Attacked(attack, answered(predictor, dataset, change)))
            tick(sum(past.passes for past in plan[:done]), None)
    flat = flat_share(predictor, dataset) if checks and by_gradient else None
    return Robustness(answered(predictor, dataset), tuple(found), flat)


def flat_share(predictor: Predictor, dataset: Dataset) -> float:
    """The share of images of which no value changes the loss: there a gradient says nothing."""
    task, like, none = predictor.known_card().task, any_tensor(predictor), 0
    for some in torch.arange(len(dataset)).split(AT_ONCE):
        shown: Examples = dataset.examples(some).to(like)
        with eval_mode(predictor):
            found = gradient(lambda x, y=shown.y: losses_of(task, predictor(x), y), shown.x)
        none += int((found == 0).flatten(1).all(1).sum())
    return none / len(dataset)


def _planned(
    budgets: Sequence[ThreatModel], checks: bool, steps: int, queries: int, seed: int
) -> list[Attack]:
    by_size = _by_size(budgets)
    plan: list[Attack] = []
    for budget in by_size:
        plan += [FGSM(budget)] if checks else []
        plan.append(PGD(budget, steps=steps, seed=seed))
    if checks:
        plan.append(PGD(by_size[-1], steps=MORE * steps, seed=seed + 1))
        plan.append(Square(by_size[-1], queries=queries, seed=seed))
    return plan


def _by_size(budgets: Sequence[ThreatModel]) -> list[ThreatModel]:
    return sorted(budgets, key=lambda budget: budget.epsilon)


def _metrics(answers: OutOfFold) -> dict[str, Any]:
    return {metric: vars(answers.interval(metric)) for metric in answers.task.metrics}


FLAT = 0.05  # of the images: a few that are answered with full confidence have no slope


def signs(found: Robustness) -> list[str]:
    """What ought not to be, a sentence each: none is no proof that gradients are not masked.

    Source: Athalye, Carlini & Wagner 2018, arXiv:1802.00420, list what masked gradients look like:
    one step does better than many, an attack without gradients better than one with them, a larger
    epsilon is no help. Here each is a difference whose interval over patients excludes 0.
    """
    return list(_signs(found))


def _signs(found: Robustness) -> Iterator[str]:
    one, many, blind = found.by(FGSM), found.by(PGD), found.by(Square)
    if one and many:
        usual, most = _at_largest(many)
        yield from _weaker(usual, one[-1])
        if most is not usual:
            yield from _weaker(most, usual)
        for square in blind:
            yield from _weaker(most, square)
    for smaller, larger in pairwise(many):
        if larger.attack.budget.epsilon > smaller.attack.budget.epsilon:
            yield from _weaker(larger, smaller)
    if found.flat is not None and found.flat > FLAT:
        yield (
            f"On {100 * found.flat:.0f} % of the images the loss has no slope at all, so that no "
            "gradient can show the way."
        )


def verdict(found: Robustness) -> str:
    """The same in one line."""
    if not found.by(PGD):
        return (
            "The model passes no gradient: it was attacked by the square attack alone, a weak one."
        )
    if found.flat is None:
        return "Whether gradients are masked was not looked at."
    if signs(found):
        return (
            "Gradients seem masked: what FGSM and PGD leave is more than a better attack would. "
            "Do not rely on these numbers: rely on the lowest, of more --queries and --steps."
        )
    return (
        "No sign of masked gradients: more steps do not attack less, nor does an attack without "
        "gradients do more. That is no proof."
    )


def _at_largest(many: list[Attacked]) -> tuple[Attacked, Attacked]:
    """PGD with the usual steps and with the most, both at the largest epsilon."""
    largest = many[-1].attack.budget
    there = [row for row in many if row.attack.budget == largest]
    return there[0], there[-1]


def _weaker(strong: Attacked, weak: Attacked) -> Iterator[str]:
    """A sentence, if what ought to be the stronger attack leaves more."""
    metric = strong.answers.task.leading
    if strong.answers.minus(weak.answers, metric).low > 0:
        yield (
            f"{_called(strong)} leaves a {metric} of {_value(strong.answers)}, more than "
            f"{_called(weak)}, which leaves {_value(weak.answers)}."
        )


def _called(row: Attacked) -> str:
    return f"{row.attack} ({row.attack.budget})"


def _value(answers: OutOfFold) -> str:
    return f"{answers.interval(answers.task.leading).mean:.3f}"


def attack_table(found: Mapping[str, Robustness], where: str) -> Table:
    """An epsilon and attack a row, a model a column; empty where one was not attacked so."""
    first = next(iter(found.values()))
    rows = [("0", "", *(_score(model.clean) for model in found.values()))]
    by_attack = [
        {(str(row.attack.budget), str(row.attack)): row.answers for row in model.attacked}
        for model in found.values()
    ]
    longest_first = sorted(by_attack, key=len, reverse=True)
    for epsilon, attack in dict.fromkeys(key for model in longest_first for key in model):
        scores = (model.get((epsilon, attack)) for model in by_attack)
        rows.append((epsilon, attack, *("" if of is None else _score(of) for of in scores)))
    norm = first.attacked[0].attack.budget.measure.said
    caption = f"{with_unit(first.clean.task.leading)} on {where}, attacked in {norm}, {INTERVALS}"
    return Table(caption, ("epsilon", "attack", *found), tuple(rows))


def corruption_table(found: Robustness, where: str) -> Table:
    """A family of corruptions a row: the score over all severities and at some, and the loss."""
    metric, severities = found.clean.task.leading, (1, 3, 5)
    rows = []
    for family, corrupted in found.corrupted.items():
        gone = lost(found.clean, corrupted.all()).text(metric)
        at = [corrupted.at(s).interval(metric).text(metric).split()[0] for s in severities]
        rows.append((family, _score(corrupted.all()), gone, *at))
    caption = (
        f"{with_unit(metric)} on {where}, corrupted, in severities 1 to 5 (as they are: "
        f"{_score(found.clean)})"
    )
    heads = ("family", "all severities", "lost", *(f"at {s}" for s in severities))
    return Table(caption, heads, tuple(rows))


def _score(answers: OutOfFold) -> str:
    return answers.interval(answers.task.leading).text(answers.task.leading)
