"""The door to Optuna: a study in memory, in a file, or on a server that many workers share.

Optuna is imported when a study is opened, and not before: choosing among fixed candidates needs
none.
"""

import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medshot.core.errors import ConfigError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.study import Study

STARTUP = 10  # trials, the queue among them, before any is drawn by what the others found
KEEP, BEFORE = 75.0, 4  # percent that go on past half the folds, once so many went to the end
BUSY = 60  # seconds to wait for another worker who writes
AGAIN_AFTER = (0.2, 1.0)  # seconds
WORKER = "worker"


@contextmanager
def opened(storage: str | None, name: str, folds: int) -> Iterator["Study"]:
    """The study called `name`, new or as it was left; `storage` None keeps it in memory.

    `storage` is a database (`sqlite:///FILE`, `mysql://...`, `postgresql://...`) or the path of a
    journal file. Of `folds` folds, half are gone through before a trial is given up.

    Raises:
        ConfigError: Optuna is not installed, or the storage cannot be opened.
    """
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _place(optuna, storage) as place:
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
    optuna = _optuna()
    with _place(optuna, storage) as place:
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


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415  (an extra)
    except ModuleNotFoundError as error:
        raise ConfigError(
            'A search needs Optuna: pip install "medshot[select]". `medshot adapt --learner auto` '
            "chooses among a few candidates without it."
        ) from error
    return optuna


@contextmanager
def _place(optuna: Any, storage: str | None) -> Iterator["BaseStorage | None"]:
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
    """A database, with its tables; where two workers make them at once, one has to try again."""
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
    """Whatever a database's library says when it cannot open one, as a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # of any driver, each with a tree of its own
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"The storage {storage} cannot be opened ({said}). Give a path for a journal file, "
            "sqlite:///FILE, or the address of a server whose driver is installed."
        ) from error
