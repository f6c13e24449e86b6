"""Validations as TensorBoard scalars, so that a run can be watched from elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from medshot.core.errors import SaveError
from medshot.training.progress import Row

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

FOLDER = "tensorboard"


class Scalars:
    """Writes rows to `folder`/tensorboard; steps after `done`, from a run cut short, are dropped.

    Nothing is written before the first row, and nothing at all where `folder` is None.
    """

    def __init__(self, folder: Path | None, done: int) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._done = done
        self._writer: SummaryWriter | None = None

    def __enter__(self) -> "Scalars":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            with suppress(OSError):  # every row was flushed when it was written
                self._writer.close()

    def write(self, row: Row) -> None:
        """One scalar for each value of `row`, at its step.

        Raises:
            SaveError: the disk is full, the folder is read-only, ...
        """
        if self._folder is None:
            return
        with _explained(self._folder):
            self._writer = self._writer or _open(self._folder, self._done)
            for name, value in row.items():
                if name != "step":
                    self._writer.add_scalar(name, value, int(row["step"]))
            self._writer.flush()  # a kill must not lose what the next checkpoint knows


def _open(folder: Path, done: int) -> "SummaryWriter":
    from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415  (slow to import)

    return SummaryWriter(folder, purge_step=done + 1)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SaveError(
            f"Could not write to {folder}: {error.strerror or error}. Free some space (or make it "
            "writable) and give the same command again: the run goes on from its checkpoint."
        ) from error
