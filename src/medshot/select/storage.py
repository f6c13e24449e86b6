"""Where a study is kept: in memory, in a file, or on a server that many workers share."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medshot.core.errors import ConfigError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

BUSY = 60  # seconds to wait for another worker who writes
AGAIN_AFTER = (0.2, 1.0)  # seconds


def optuna_itself() -> Any:
    """The package, or an error that says how to have it."""
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
    """What `storage` names, closed after the block; None is memory.

    Raises:
        ConfigError: Optuna is not installed, or it cannot be opened.
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
