"""Arguments that several commands share, checked as they are read: before any work is done.

Nothing here imports PyTorch.
"""

from pathlib import Path
from typing import Any

import typer

from medshot.core.atomic import refuse_taken
from medshot.core.errors import SaveError

RUN = "run.json"  # what a run's folder holds from its first moment


def free(path: Path | None) -> Path | None:
    """`path`; raises `SaveError` if something is there already."""
    if path is not None:
        refuse_taken(path)
    return path


def free_or_run(folder: Path) -> Path:
    """`folder`; raises `SaveError` if it holds anything but a run, which goes on."""
    if folder.is_file() or (
        folder.is_dir()
        and not (folder / RUN).exists()
        and any(not entry.name.startswith(".") for entry in folder.iterdir())
    ):
        raise SaveError(f"{folder} exists already and is no run of medshot. Choose another --out.")
    return folder


def new_folder(help_: str) -> Any:
    """The option --out for a place where nothing may be yet."""
    return typer.Option(..., "--out", help=help_, callback=free)


def new_json(help_: str) -> Any:
    """The option --json for a file that may not be there yet."""
    return typer.Option(None, "--json", metavar="FILE", help=help_, callback=free)


THREADS: Any = typer.Option(
    1, "--threads", min=1, help="Of the processor, an operation. More are often slower."
)
