"""The search: what won elsewhere first, then what Optuna makes of it, until the budget is spent."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medshot.core.learner import Learner
from medshot.select.bench import Bench
from medshot.select.record import TRIED, read, written
from medshot.select.space import Configuration, Space
from medshot.select.study import WORKER, opened, sampler, take_up
from medshot.select.tried import Tried, through
from medshot.training.progress import Row, Watch, quiet
from medshot.training.scalars import Scalars

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

SAME = "same as"
AGAIN = 30  # times in a row that something is drawn which was tried: then there is nothing else

Build = Callable[[Configuration], Learner]


@dataclass(frozen=True)
class Limits:
    """When a search ends: after so many seconds of one worker, or so many trials of all."""

    seconds: int | float = math.inf
    trials: int | None = None


@dataclass(frozen=True)
class Place:
    """Where a search is kept: `storage` as `opened` takes it, and who writes there."""

    storage: str | None = None
    study: str = "medshot"
    worker: str = ""
    scalars: Path | None = None


def search(
    bench: Bench,
    space: Space,
    build: Build,
    queue: Sequence[Configuration],
    limits: Limits,
    *,
    place: Place | None = None,
    seed: int = 0,
    watch: Watch = quiet,
) -> list[tuple[Configuration, Tried]]:
    """Try `queue` in its order, then what Optuna draws from `space`; all that was tried.

    The first of the queue is tried to the end whatever the time: it is what the others are compared
    with. Each other trial ends between two folds where it is among the worst quarter by then, or
    where its other folds would take longer than there is time. What is in the storage already
    counts, whoever tried it.

    Returns: each configuration and what came of it, the first of the queue first.
    """
    place = place or Place()
    first = space.parameters(queue[0])
    parameters = [p for wanted in queue if (p := space.parameters(wanted)) is not None]
    with opened(place.storage, place.study, len(bench.folds)) as study:
        before = take_up(study, place.worker, parameters)
        clock = _Clock(limits, before)
        done = clock.done(study)
        with Scalars(place.scalars, int(before)) as scalars, watch(clock.total, done) as tick:
            while not clock.ended(study):
                study.sampler = sampler(seed, *clock.draw(study))
                trial = study.ask()
                trial.set_user_attr(WORKER, place.worker)
                wanted = space.suggested(trial)
                if _known(study, trial):
                    clock.in_vain += 1
                    continue
                clock.in_vain = 0
                _try(study, trial, bench, lambda it=wanted: build(it), clock, trial.params == first)
                row = _row(study, clock)
                scalars.write(row)
                tick(clock.done(study), row)
        found = [(space.suggested(trial), read(trial)) for trial in _rows(study)]
    return _first_first(found, queue[0], bench, build)


def _first_first(
    found: list[tuple[Configuration, Tried]], first: Configuration, bench: Bench, build: Build
) -> list[tuple[Configuration, Tried]]:
    """`found` with `first` in front; it is tried now if only another worker has begun it."""
    own = [row for row in found if row[0].key == first.key]
    others = [row for row in found if row[0].key != first.key]
    return [*(own[:1] or [(first, through(bench, lambda: build(first)))]), *others]


class _Clock:
    """How much of the limits is spent."""

    def __init__(self, limits: Limits, before: float) -> None:
        self.limits, self.before, self.started = limits, before, time.monotonic()
        self.in_vain = 0

    @property
    def spent(self) -> float:
        """Seconds, those of killed processes of this worker among them."""
        return self.before + time.monotonic() - self.started

    @property
    def total(self) -> int:
        """What a bar counts to: trials, if they are limited, or seconds."""
        return self.limits.trials or math.ceil(self.limits.seconds)

    def done(self, study: "Study") -> int:
        """How far that is."""
        count = len(_rows(study)) if self.limits.trials else int(self.spent)
        return min(count, self.total)

    def draw(self, study: "Study") -> tuple[int, int, int]:
        """Which draw is next: the same after a kill, another where a second worker is at work."""
        others = sum(trial.state.name == "RUNNING" for trial in study.get_trials(deepcopy=False))
        return len(_rows(study)), others, self.in_vain

    def ended(self, study: "Study") -> bool:
        """Whether no further trial is begun; one is always."""
        rows = len(_rows(study))
        out = self.spent >= self.limits.seconds or self.in_vain >= AGAIN
        return (rows > 0 and out) or rows >= (self.limits.trials or math.inf)


def _try(
    study: "Study",
    trial: "Trial",
    bench: Bench,
    build: Callable[[], Learner],
    clock: _Clock,
    to_the_end: bool,
) -> None:
    """Run a trial, and tell the study what came of it."""
    from optuna.trial import TrialState  # noqa: PLC0415  (an extra)

    def stop(folds: int, score: float, seconds: float) -> str:
        if math.isfinite(score):
            trial.report(score, folds)
        if to_the_end:
            return ""
        left = len(bench.folds) - folds
        if clock.spent + left * seconds / folds > clock.limits.seconds:
            return f"no time left after {folds} of {len(bench.folds)} folds"
        if trial.should_prune():
            return f"among the worst quarter after {folds} of {len(bench.folds)} folds"
        return ""

    tried = through(bench, build, stop)
    trial.set_user_attr("seconds", tried.seconds)
    trial.set_user_attr(TRIED, written(tried))
    score = tried.scores.get(bench.task.leading, math.nan)
    if tried.whole and math.isfinite(score):
        study.tell(trial, score)
    else:
        failed = tried.whole or tried.why.startswith("failed")
        study.tell(trial, state=TrialState.FAIL if failed else TrialState.PRUNED)


def _rows(study: "Study") -> list["FrozenTrial"]:
    """The trials that were run, whoever ran them."""
    return [trial for trial in study.get_trials(deepcopy=False) if TRIED in trial.user_attrs]


def _row(study: "Study", clock: _Clock) -> Row:
    """What is watched: the last score, and the best so far, at so many seconds."""
    scores = [trial.value for trial in _rows(study) if trial.state.name == "COMPLETE"]
    row: Row = {"step": int(clock.spent), "tried": len(_rows(study))}
    return {**row, "best": max(s for s in scores if s is not None)} if scores else row


def _known(study: "Study", trial: "Trial") -> bool:
    """Whether the same was tried before: then it is told so, and nothing is run."""
    from optuna.trial import TrialState  # noqa: PLC0415  (an extra)

    for other in _rows(study):
        if other.params == trial.params:
            trial.set_user_attr(SAME, other.number)
            study.tell(trial, state=TrialState.FAIL)
            return True
    return False
