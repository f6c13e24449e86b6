"""Atomic replacement of files and atomic creation of folders."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medshot.core.errors import SaveError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path` that replaces it when the block succeeds.

    Raises:
        SaveError: the disk is full, the folder is read-only, ...; the old file is kept.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        kept = " The old file is unchanged." if path.exists() else ""
        raise SaveError(
            f"Could not write {path}: {error.strerror or error}.{kept} Free some space, or "
            "choose a writable folder."
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def refuse_taken(path: Path) -> None:
    """Raise `SaveError` if `path` exists; an empty folder is allowed."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise SaveError(
            f"{path} exists already, and nothing is ever overwritten. Choose another name, or move "
            "it first."
        )


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary path for a folder that becomes `out` when the block succeeds.

    The temporary folder is created at once, so that missing permissions are found before any work.

    Raises:
        SaveError: `out` is taken, or cannot be written.
    """
    refuse_taken(out)
    out = out.absolute()
    absent = [folder for folder in out.parents if not folder.exists()]
    staging = None
    try:
        staging = _staging(out)
        yield staging / out.name
        (staging / out.name).replace(out)
    except OSError as error:
        raise SaveError(
            f"Could not write {out}: {error.strerror or error}. Free some space, or choose a place "
            "where you may write."
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):  # nonempty folders stay
            for folder in absent:
                folder.rmdir()


def _staging(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))


@contextmanager
def unfinished(out: Path) -> Iterator[tuple[Path, Path]]:
    """A place for the new folder or file `out`, and OUT.unfinished beside it for checkpoints.

    When the block ends well, `out` is there and the checkpoints are gone; TensorBoard's scalars
    stay, in OUT/tensorboard. When it does not, the same call resumes from the checkpoints.

    Raises:
        SaveError: `out` is taken, or cannot be written.
    """
    refuse_taken(out)
    working = out.with_name(out.name + ".unfinished")
    with new_folder(out) as staging:
        yield staging, working
        scalars = working / "tensorboard"
        if scalars.is_dir() and staging.is_dir():
            scalars.rename(staging / "tensorboard")
    shutil.rmtree(working, ignore_errors=True)
