"""The search: what won elsewhere first, then what Optuna makes of it, until the budget is spent.

The door to Optuna: a study, what it draws, and what a killed worker left in it.

Optuna is imported when a study is opened, and not before: choosing among fixed candidates needs
none.

What a trial leaves in the storage, as text: scores, seconds, why it ended, and the evidence.

When a search ends.
"""

import base64
import io
import math
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medshot.core.learner import Learner
from medshot.select.choice import TrialResult, through
from medshot.select.cross_validator import CrossValidator, Evidence
from medshot.select.space import Configuration, Space
from medshot.select.storage import optuna_itself, place_at
from medshot.training.progress import Row, Scalars, Watch, quiet

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial


STARTUP = 10  # trials, the queue among them, before any is drawn by what the others found
KEEP, BEFORE = 75.0, 4  # percent that go on past half the folds, once so many went to the end
WORKER = "worker"


@contextmanager
def opened(storage: str | None, name: str, folds: int) -> Iterator["Study"]:
    """The study called `name`, new or as it was left; `storage` None keeps it in memory.

    `storage` is a database (`sqlite:///FILE`, `mysql://...`, `postgresql://...`) or the path of a
    journal file. Of `folds` folds, half are gone through before a trial is given up.

    Raises:
        ConfigError: Optuna is not installed, or the storage cannot be opened.
    """
    optuna = optuna_itself()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with place_at(storage) as place:
        yield optuna.create_study(
            storage=place,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.PercentilePruner(
                KEEP, n_startup_trials=BEFORE, n_warmup_steps=folds // 2
            ),
        )


def studies_in(storage: str) -> list[str]:
    """The names of all studies in a storage."""
    optuna = optuna_itself()
    with place_at(storage) as place:
        return optuna.get_all_study_names(place)


def take_up(study: "Study", worker: str, queue: Sequence[dict[str, Any]]) -> float:
    """Put `queue` first, and again what `worker` was at when it was killed.

    Returns: the seconds that `worker` has spent so far.
    """
    from optuna.trial import TrialState  # noqa: PLC0415  (an extra)

    own = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(WORKER) == worker]
    for trial in own:
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)
    for parameters in queue:
        study.enqueue_trial(parameters, skip_if_exists=True)
    return sum((trial.user_attrs.get("seconds", 0.0) for trial in own), 0.0)


def sampler(seed: int, done: int, others: int, in_vain: int) -> "BaseSampler":
    """What draws a trial after `done` ones, while `others` are at work: always the same.

    Where it drew what was tried before, `in_vain` times in a row, the next is drawn blindly.

    Source: the tree-structured Parzen estimator, Bergstra et al. 2011, NeurIPS 24, as Optuna has
    it.
    """
    from optuna.samplers import RandomSampler, TPESampler  # noqa: PLC0415  (an extra)

    own = zlib.crc32(repr((seed, done, others, in_vain)).encode())
    if in_vain:
        return RandomSampler(own)
    return TPESampler(n_startup_trials=STARTUP, multivariate=False, seed=own)


TRIED = "tried"


def written(tried: TrialResult) -> dict[str, Any]:
    """`tried` in the terms of JSON."""
    evidence = None if tried.evidence is None else _text(tried.evidence)
    return {"scores": tried.scores, "why": tried.why, "evidence": evidence}


def read(trial: "FrozenTrial") -> TrialResult:
    """What `written` wrote."""
    found = trial.user_attrs[TRIED]
    evidence = None if found["evidence"] is None else _rows(found["evidence"])
    return TrialResult(found["scores"], trial.user_attrs["seconds"], found["why"], evidence)


def rows_of(study: "Study") -> list["FrozenTrial"]:
    """The trials that were run, whoever ran them."""
    return [trial for trial in study.get_trials(deepcopy=False) if TRIED in trial.user_attrs]


def _text(evidence: Evidence) -> str:
    with io.BytesIO() as file:
        np.savez_compressed(file, *evidence)
        return base64.b64encode(file.getvalue()).decode("ascii")


def _rows(text: str) -> Evidence:
    with np.load(io.BytesIO(base64.b64decode(text))) as found:
        return tuple(found[name] for name in found.files)


AGAIN = 30  # times in a row that something is drawn which was tried: then there is nothing else


@dataclass(frozen=True)
class Limits:
    """When a search ends: after so many seconds of one worker, or so many trials of all."""

    seconds: int | float = math.inf
    trials: int | None = None


class Clock:
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
        count = len(rows_of(study)) if self.limits.trials else int(self.spent)
        return min(count, self.total)

    def draw(self, study: "Study") -> tuple[int, int, int]:
        """Which draw is next: the same after a kill, another where a second worker is at work."""
        others = sum(trial.state.name == "RUNNING" for trial in study.get_trials(deepcopy=False))
        return len(rows_of(study)), others, self.in_vain

    def ended(self, study: "Study") -> bool:
        """Whether no further trial is begun; one is always."""
        rows = len(rows_of(study))
        out = self.spent >= self.limits.seconds or self.in_vain >= AGAIN
        return (rows > 0 and out) or rows >= (self.limits.trials or math.inf)


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
    bench: CrossValidator,
    space: Space,
    build: Build,
    queue: Sequence[Configuration],
    limits: Limits,
    *,
    place: Place | None = None,
    seed: int = 0,
    watch: Watch = quiet,
) -> list[tuple[Configuration, TrialResult]]:
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
    found: list[tuple[Configuration, TrialResult]],
    first: Configuration,
    bench: CrossValidator,
    build: Build,
) -> list[tuple[Configuration, TrialResult]]:
    """`found` with `first` in front; it is tried now if only another worker has begun it."""
    own = [row for row in found if row[0].key == first.key]
    others = [row for row in found if row[0].key != first.key]
    return [*(own[:1] or [(first, through(bench, lambda: build(first)))]), *others]


def _try(
    study: "Study",
    trial: "Trial",
    bench: CrossValidator,
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
