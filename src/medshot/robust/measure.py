"""How well a predictor does under attacks, at several epsilons, on one set of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor, any_tensor, eval_mode
from medshot.data.dataset import Dataset
from medshot.evaluation.answered import answered
from medshot.evaluation.cross_validation import AT_ONCE, OutOfFold
from medshot.robust.attack import Attack, gradient, losses_of, passes_gradient
from medshot.robust.budget import Budget
from medshot.robust.fgsm import FGSM
from medshot.robust.harden import refuse_volumes
from medshot.robust.pgd import PGD
from medshot.robust.square import Square
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
class Robustness:
    """The answers for images as they are, and for attacked ones: the weakest attack first.

    `flat` is the share of images at which the loss has no slope at all, or None if not looked at.
    """

    clean: OutOfFold
    attacked: tuple[Attacked, ...]
    flat: float | None = None

    def by(self, kind: type[Attack]) -> list[Attacked]:
        """Those of one kind of attack, by epsilon and then by strength."""
        found = [row for row in self.attacked if isinstance(row.attack, kind)]
        return sorted(found, key=lambda row: (row.attack.budget.epsilon, row.attack.passes))

    def to_json(self) -> dict[str, Any]:
        """Every metric with its interval."""
        rows = [{**a.attack.describe(), **_metrics(a.answers)} for a in self.attacked]
        return {"clean": _metrics(self.clean), "attacked": rows, "flat": self.flat}


def robustness(
    predictor: Predictor,
    dataset: Dataset,
    budgets: Sequence[Budget],
    *,
    checks: bool = True,
    steps: int = STEPS,
    queries: int = QUERIES,
    seed: int = 0,
    watch: Watch = quiet,
) -> Robustness:
    """Clean and attacked answers: PGD at each of `budgets`, and, with `checks`, what tells of it.

    The checks are FGSM at each budget, and at the largest PGD with four times the steps and the
    square attack, which needs no gradient; see `medshot.robust.masking`. A predictor that passes no
    gradient to its images, as one in int8, meets the square attack alone, at each budget.

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
    budgets: Sequence[Budget], checks: bool, steps: int, queries: int, seed: int
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


def _by_size(budgets: Sequence[Budget]) -> list[Budget]:
    return sorted(budgets, key=lambda budget: budget.epsilon)


def _metrics(answers: OutOfFold) -> dict[str, Any]:
    return {metric: vars(answers.interval(metric)) for metric in answers.task.metrics}
