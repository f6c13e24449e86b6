"""How long learning takes: a few steps are timed before it starts."""

import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field

import torch

from medshot.core import Examples, Learner, MedshotError, Task, called
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import FOLDS, even_folds
from medshot.learners.baselines.finetune import FineTune
from medshot.selection import Auto
from medshot.selection.auto import learn_at_size
from medshot.stages.finetune import AutoTuned
from medshot.stages.finetune.learner import Tuned

MINUTE, LONG = 60, 120  # seconds; from LONG on, times are shown in minutes
SHORT = 10  # seconds that need no announcement
MANY, TIMED = 50, 10  # steps: of more than MANY, TIMED are timed
ANSWERED = 2  # images whose prediction is timed


def fits(learner: Learner) -> int:
    """Predictors that `learner` fits to learn once: `Auto` fits each of several on each fold."""
    inner = learner.learner if isinstance(learner, Tuned) else learner
    n = len(_candidates(learner))
    return 1 + inner.folds * n if isinstance(inner, Auto) and n > 1 else 1


@dataclass(frozen=True)
class Cost:
    """Estimated seconds of learning once by each learner, by name, and what is said of the whole.

    Empty where it is short.
    """

    said: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)


def cost(learner: Learner, dataset: Dataset) -> Cost:
    """Estimated time of learning with cross-validation.

    A few steps of each candidate are timed. One that takes no steps is not run, except where there
    is a target at every site, which takes longer.
    """
    if isinstance(learner, AutoTuned):
        return Cost(_cost_of_tuning(learner, dataset))
    candidates = _candidates(learner)
    slow = [each for each in candidates if hasattr(each, "steps")]
    if not slow and not (dataset.task.on_grid and len(candidates) > 1):
        return Cost()
    seconds = _timed(learner, dataset, candidates if dataset.task.on_grid else slow)
    whole = _whole(learner, dataset, seconds)
    if whole < SHORT:
        return Cost("", seconds)
    first = candidates[0]
    hint = f" (--learner {called(first)} alone takes seconds)" if slow and first not in slow else ""
    said = f"learning from {len(dataset)} images takes about {_rounded(_once(learner, seconds))}"
    return Cost(f"{said}; with cross-validation about {_rounded(whole)}{hint}", seconds)


def within(learner: Auto, dataset: Dataset, budget: float) -> tuple[Auto, Cost]:
    """`learner` with those candidates that can be cross-validated within `budget` seconds.

    The slowest are left out first, the first candidate never.
    """
    seconds, kept = _timed(learner, dataset, _candidates(learner)), learner
    left: list[str] = []
    while len(kept.candidates) > 1 and (whole := _whole(kept, dataset, seconds)) > budget:
        others = range(1, len(kept.candidates))
        each = _candidates(kept)
        slowest = max(others, key=lambda i: seconds[called(each[i])])
        kept = kept.without(slowest)
        less = whole - _whole(kept, dataset, seconds)
        left.append(f"{called(each[slowest])} (about {_rounded(less)} more)")
    tried = ", ".join(called(each) for each in _candidates(kept))
    said = f"auto tries {tried}: with cross-validation about "
    said += _rounded(_whole(kept, dataset, seconds))
    if left:
        said += f"; not within {_rounded(budget)}: {', '.join(left)}"
    return kept, Cost(said, seconds)


def expected(learner: Learner, seconds: Mapping[str, float]) -> float:
    """Estimated seconds of learning once; where nothing was timed, the number of fits."""
    return _once(learner, seconds) if seconds else float(fits(learner))


def _candidates(learner: Learner) -> list[Learner]:
    inner = learner.learner if isinstance(learner, Tuned) else learner
    found = list(inner.candidates) if isinstance(inner, Auto) else [inner]
    return [each for each in found if isinstance(each, Learner)]


def _timed(learner: Learner, dataset: Dataset, candidates: Sequence[Learner]) -> dict[str, float]:
    """Estimated seconds to learn from `dataset` once and to predict it, of each candidate."""
    inner = learner.learner if isinstance(learner, Tuned) else learner
    support, card = dataset.support(inner.encoder)
    return {called(each): _seconds(each, support, card.task) for each in candidates}


def _once(learner: Learner, seconds: Mapping[str, float]) -> float:
    """Learning from the images: with a choice, each candidate in every fold and the best again.

    A fold learns from less: n of them take as long as n - 1 times learning from all images.
    """
    inner = learner.learner if isinstance(learner, Tuned) else learner
    each = [seconds.get(called(one), 0.0) for one in _candidates(learner)]
    if isinstance(inner, Auto) and len(each) > 1:
        return (inner.folds - 1) * sum(each) + max(each)
    return sum(each)


def _whole(learner: Learner, dataset: Dataset, seconds: Mapping[str, float]) -> float:
    """Learning from all images, and in each fold from less."""
    folds = even_folds(dataset.present_classes(), dataset.groups)
    return _once(learner, seconds) * max(len(folds), 1)


def _seconds(learner: Learner, support: Examples, task: Task) -> float:
    """Estimated time to learn from `support` and to predict it: of many steps, a few are timed."""
    quick, given = copy(learner), getattr(learner, "steps", 1)
    steps = learner.schedule(support)[1] if isinstance(learner, FineTune) else int(given)

    def timed(some: int) -> float:
        if some < steps:
            setattr(quick, "steps", some)  # noqa: B010  (not every learner takes steps)
        started = time.monotonic()
        predictor = learn_at_size(quick, support, task)
        learned = time.monotonic() - started
        if steps > 1 or not task.on_grid:
            return learned
        predictor(support.x[:ANSWERED])
        answered = time.monotonic() - started - learned
        return learned + answered * max(len(support) / ANSWERED, 1)

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            if steps <= MANY:
                return timed(steps)
            first = timed(1)  # with what is done once, also by PyTorch
            return first + steps * max(timed(1 + TIMED) - first, 0.0) / TIMED
        except MedshotError:  # it will be said where it matters, with its cause
            return 0.0


def _cost_of_tuning(learner: AutoTuned, dataset: Dataset) -> str:
    inner = learner.learner
    if isinstance(inner, Auto):  # its choice is not known yet; assume the first
        first = next(iter(inner.candidates))
        if not isinstance(first, Learner):
            return ""
        learner = AutoTuned(first)
    support, card = dataset.support(learner.encoder)
    seconds = learner.seconds(support, card.task)
    if not seconds:
        return ""
    whole = f"; with cross-validation about {_rounded(seconds * (1 + FOLDS))}"
    return f"fine-tuning takes about {_rounded(seconds)} on {len(support)} images{whole}"


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < LONG else f"{seconds / MINUTE:.0f} min"
