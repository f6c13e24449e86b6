"""Search over configurations within a budget: the portfolio first, then Optuna's samples.

A trial stores scores, seconds, reason for stopping and evidence, so that a killed search resumes:
a study is kept in memory, in a file, or in a database shared by many workers. Optuna is imported
when a study is opened: a choice among fixed candidates does not need it.
"""

import base64
import io
import math
import time
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medshot.core import ConfigError, Learner
from medshot.selection.choice import TrialResult, through
from medshot.selection.cross_validator import CrossValidator, Evidence
from medshot.selection.space import Configuration, Space
from medshot.training.progress import Row, Scalars, Watch, quiet

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial


BUSY = 60  # SQLite lock timeout in seconds
AGAIN_AFTER = (0.2, 1.0)  # retry delays in seconds


def optuna_itself() -> Any:
    """Import Optuna, or raise `ConfigError` with the install command."""
    try:
        import optuna  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        raise ConfigError(
            'A search needs Optuna: pip install "medshot[select]". `medshot adapt --learner auto` '
            "chooses among a few candidates without it."
        ) from error
    return optuna


@contextmanager
def place_at(storage: str | None) -> Iterator["BaseStorage | None"]:
    """Open the storage for the duration of the block; None is memory.

    Raises:
        ConfigError: Optuna is not installed, or the storage cannot be opened.
    """
    optuna = optuna_itself()
    if storage is None:
        yield None
        return
    if "://" not in storage:
        with _explained(storage):
            file = optuna.storages.journal.JournalFileBackend(storage)
            journal = optuna.storages.JournalStorage(file)
        yield journal
        return
    with _explained(storage):
        database = _database(optuna, storage)
    try:
        yield database
    finally:
        database.remove_session()
        database.engine.dispose()


def _database(optuna: Any, storage: str) -> "RDBStorage":
    """Open a database and create its tables, retrying if another worker does so too."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415  (comes with the extra)

    waits = {"connect_args": {"timeout": BUSY}} if storage.startswith("sqlite") else {}
    for seconds in AGAIN_AFTER:
        try:
            return optuna.storages.RDBStorage(storage, engine_kwargs=waits)
        except DBAPIError:
            time.sleep(seconds)
    return optuna.storages.RDBStorage(storage, engine_kwargs=waits)


@contextmanager
def _explained(storage: str) -> Iterator[None]:
    """Convert a database driver's error into a `ConfigError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # drivers share no base class of errors
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"The storage {storage} cannot be opened ({cause}). Give a path for a journal file, "
            "sqlite:///FILE, or the URL of a server whose driver is installed."
        ) from error


STARTUP = 10  # trials, queue included, before TPE sampling starts
KEEP, BEFORE = 75.0, 4  # percentile pruner: percent kept, and trials before it starts
WORKER = "worker"


@contextmanager
def opened(storage: str | None, name: str, folds: int) -> Iterator["Study"]:
    """Open or create the study called `name`; `storage` None keeps it in memory.

    `storage` is a database (`sqlite:///FILE`, `mysql://...`, `postgresql://...`) or the path of a
    journal file. Trials are pruned only after half of `folds`.

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
    """Names of all studies in a storage."""
    optuna = optuna_itself()
    with place_at(storage) as place:
        return optuna.get_all_study_names(place)


def take_up(study: "Study", worker: str, queue: Sequence[dict[str, Any]]) -> float:
    """Enqueue `queue`, and again the trials that `worker` was running when it was killed.

    Returns: seconds that `worker` has spent so far.
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
    """Deterministic sampler for the trial after `done` ones, with `others` running.

    After `in_vain` duplicates in a row, the next trial is sampled at random.

    Source: the tree-structured Parzen estimator, Bergstra et al. 2011, NeurIPS 24, in Optuna.
    """
    from optuna.samplers import RandomSampler, TPESampler  # noqa: PLC0415  (an extra)

    own = zlib.crc32(repr((seed, done, others, in_vain)).encode())
    if in_vain:
        return RandomSampler(own)
    return TPESampler(n_startup_trials=STARTUP, multivariate=False, seed=own)


TRIED = "tried"


def trial_json(tried: TrialResult) -> dict[str, Any]:
    """JSON-serializable form of `tried`."""
    evidence = None if tried.evidence is None else _text(tried.evidence)
    return {"scores": tried.scores, "why": tried.why, "evidence": evidence}


def read(trial: "FrozenTrial") -> TrialResult:
    """Inverse of `written`."""
    found = trial.user_attrs[TRIED]
    evidence = None if found["evidence"] is None else _rows(found["evidence"])
    return TrialResult(found["scores"], trial.user_attrs["seconds"], found["why"], evidence)


def finished_trials(study: "Study") -> list["FrozenTrial"]:
    """Finished trials of all workers."""
    return [trial for trial in study.get_trials(deepcopy=False) if TRIED in trial.user_attrs]


def _text(evidence: Evidence) -> str:
    with io.BytesIO() as file:
        np.savez_compressed(file, *evidence)
        return base64.b64encode(file.getvalue()).decode("ascii")


def _rows(text: str) -> Evidence:
    with np.load(io.BytesIO(base64.b64decode(text))) as found:
        return tuple(found[name] for name in found.files)


AGAIN = 30  # consecutive duplicates after which the space counts as exhausted


@dataclass(frozen=True)
class Limits:
    """Budget: seconds per worker, and number of trials of all workers."""

    seconds: int | float = math.inf
    trials: int | None = None


class Clock:
    """Consumption of the budget."""

    def __init__(self, limits: Limits, before: float) -> None:
        self.limits, self.before, self.started = limits, before, time.monotonic()
        self.in_vain = 0

    @property
    def spent(self) -> float:
        """Seconds, including those of killed processes of this worker."""
        return self.before + time.monotonic() - self.started

    @property
    def total(self) -> int:
        """Total of the progress bar: trials, if they are limited, or seconds."""
        return self.limits.trials or math.ceil(self.limits.seconds)

    def done(self, study: "Study") -> int:
        """Progress so far."""
        count = len(finished_trials(study)) if self.limits.trials else int(self.spent)
        return min(count, self.total)

    def draw(self, study: "Study") -> tuple[int, int, int]:
        """Sampler state: the same after a kill, another if other workers are running."""
        others = sum(trial.state.name == "RUNNING" for trial in study.get_trials(deepcopy=False))
        return len(finished_trials(study)), others, self.in_vain

    def ended(self, study: "Study") -> bool:
        """True when the budget is spent (at least one trial always runs)."""
        rows = len(finished_trials(study))
        out = self.spent >= self.limits.seconds or self.in_vain >= AGAIN
        return (rows > 0 and out) or rows >= (self.limits.trials or math.inf)


SAME = "same as"

Build = Callable[[Configuration], Learner]


@dataclass(frozen=True)
class Place:
    """Storage of a search, as for `opened`, and the name of the worker."""

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
    """Run the configurations of `queue` in order, then Optuna's samples from `space`.

    The first of the queue is run on all folds whatever the time: it is the baseline. Other trials
    stop between two folds if they are among the worst quarter by then, or if their remaining folds
    would exceed the budget. Trials already in the storage count, whichever worker ran them.

    Returns: each configuration and its result, the first of the queue first.
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
        found = [(space.suggested(trial), read(trial)) for trial in finished_trials(study)]
    return _first_first(found, queue[0], bench, build)


def _first_first(
    found: list[tuple[Configuration, TrialResult]],
    first: Configuration,
    bench: CrossValidator,
    build: Build,
) -> list[tuple[Configuration, TrialResult]]:
    """Move `first` to the front; run it if no worker has finished it."""
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
    """Run a trial and report its result to the study."""
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
    trial.set_user_attr(TRIED, trial_json(tried))
    score = tried.scores.get(bench.task.leading, math.nan)
    if tried.whole and math.isfinite(score):
        study.tell(trial, score)
    else:
        failed = tried.whole or tried.why.startswith("failed")
        study.tell(trial, state=TrialState.FAIL if failed else TrialState.PRUNED)


def _row(study: "Study", clock: Clock) -> Row:
    """Progress row: seconds, number of trials and the best score so far."""
    scores = [trial.value for trial in finished_trials(study) if trial.state.name == "COMPLETE"]
    row: Row = {"step": int(clock.spent), "tried": len(finished_trials(study))}
    return {**row, "best": max(s for s in scores if s is not None)} if scores else row


def _known(study: "Study", trial: "Trial") -> bool:
    """Whether the same parameters were tried before; then the trial is marked as failed."""
    from optuna.trial import TrialState  # noqa: PLC0415  (an extra)

    for other in finished_trials(study):
        if other.params == trial.params:
            trial.set_user_attr(SAME, other.number)
            study.tell(trial, state=TrialState.FAIL)
            return True
    return False
