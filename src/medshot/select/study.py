"""The door to Optuna: a study, what it draws, and what a killed worker left in it.

Optuna is imported when a study is opened, and not before: choosing among fixed candidates needs
none.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medshot.select.storage import optuna_itself, place_at

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study

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
