"""Storage of a study: in memory, in a file, or in a database shared by many workers."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medshot.core.errors import ConfigError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

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
