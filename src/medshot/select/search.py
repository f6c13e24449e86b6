"""The search: what won elsewhere first, then what Optuna makes of it, until the budget is spent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medshot.core.learner import Learner
from medshot.select.bench import Bench
from medshot.select.clock import Clock, Limits
from medshot.select.record import TRIED, read, rows_of, written
from medshot.select.space import Configuration, Space
from medshot.select.study import WORKER, opened, sampler, take_up
from medshot.select.tried import Tried, through
from medshot.training.progress import Row, Watch, quiet
from medshot.training.scalars import Scalars

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

SAME = "same as"

Build = Callable[[Configuration], Learner]


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
        clock = Clock(limits, before)
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
        found = [(space.suggested(trial), read(trial)) for trial in rows_of(study)]
    return _first_first(found, queue[0], bench, build)


def _first_first(
    found: list[tuple[Configuration, Tried]], first: Configuration, bench: Bench, build: Build
) -> list[tuple[Configuration, Tried]]:
    """`found` with `first` in front; it is tried now if only another worker has begun it."""
    own = [row for row in found if row[0].key == first.key]
    others = [row for row in found if row[0].key != first.key]
    return [*(own[:1] or [(first, through(bench, lambda: build(first)))]), *others]


def _try(
    study: "Study",
    trial: "Trial",
    bench: Bench,
    build: Callable[[], Learner],
    clock: Clock,
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


def _row(study: "Study", clock: Clock) -> Row:
    """What is watched: how many were tried and the best so far, at so many seconds."""
    scores = [trial.value for trial in rows_of(study) if trial.state.name == "COMPLETE"]
    row: Row = {"step": int(clock.spent), "tried": len(rows_of(study))}
    return {**row, "best": max(s for s in scores if s is not None)} if scores else row


def _known(study: "Study", trial: "Trial") -> bool:
    """Whether the same was tried before: then it is told so, and nothing is run."""
    from optuna.trial import TrialState  # noqa: PLC0415  (an extra)

    for other in rows_of(study):
        if other.params == trial.params:
            trial.set_user_attr(SAME, other.number)
            study.tell(trial, state=TrialState.FAIL)
            return True
    return False
