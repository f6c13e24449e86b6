"""Accuracy under attacks at several epsilons, and indicators of gradient masking."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.predictor import Predictor, any_tensor, eval_mode
from medshot.core.table import Result, Table
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import AT_ONCE, OutOfFold, answered
from medshot.evaluation.statistics import INTERVALS, with_unit
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
from medshot.stages.robustness.curve import Point, curve
from medshot.stages.robustness.harden import refuse_volumes
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.training.progress import Watch, quiet

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
