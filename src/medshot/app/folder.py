"""A folder that is there whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medshot.core.errors import SaveError
from medshot.core.files import refuse_taken


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A place to make a folder that becomes `out` when the block ends well; else nothing stays.

    It is taken at once, so that a place where one may not write is found before any work.

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
        with suppress(OSError):  # those that hold something stay
            for folder in absent:
                folder.rmdir()


def _staging(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
