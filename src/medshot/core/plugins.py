"""Plug-ins: learners, encoders, tasks and readers that live outside medshot.

Two ways in. A package that is installed names its modules as entry points, and they are found:

    [project.entry-points."medshot.learners"]
    cosine = "my_package.cosine"

A module or a file of one's own is named: `medshot --use my_learner.py adapt ...` on the command
line, `medshot.use("my_learner.py")` in Python. Runs and models remember what was used and say it
when it is missing; code that a file only names is never run.
"""

import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, MedshotError, SaveError

# The package of ours in whose place modules of each group register what they define.
GROUPS = {
    "medshot.learners": "medshot.learners",
    "medshot.nn": "medshot.encoders",
    "medshot.tasks": "medshot.tasks",
    "medshot.data.readers": "medshot.readers",
    "medshot.presenters": "medshot.tasks",
    "medshot.stages": "medshot.stages",
}
USED: list[str] = []


@functools.cache
def load_entry_points(package: str) -> None:
    """Import the modules that installed packages name for `package`, once.

    One that fails is named in a warning, and leaves the others alone.
    """
    for point in entry_points(group=GROUPS[package]) if package in GROUPS else ():
        try:
            point.load()
        except Exception as error:
            owner = point.dist.name if point.dist else "a package"
            warnings.warn(
                f"{owner}: the entry point {point.name!r} of {GROUPS[package]} cannot be "
                f"imported ({type(error).__name__}: {error}). What it defines is missing.",
                stacklevel=2,
            )


def use(what: str | Path) -> None:
    """Import a module by its name, or a file that ends with `.py`, so that it registers.

    Raises:
        ConfigError: there is no such module or file, or it fails.
    """
    name = str(what)
    try:
        if name.endswith(".py"):
            name = str(Path(name).absolute())
            _import_file(Path(name))
        else:
            importlib.import_module(name)
    except MedshotError:
        raise
    except Exception as error:
        raise ConfigError(
            f"--use {what}: it cannot be imported ({type(error).__name__}: {error}). Name a file "
            "that ends with .py, or a module that Python finds."
        ) from error
    if name not in USED:
        USED.append(name)


@contextmanager
def remembering(about: Mapping[str, Any]) -> Iterator[None]:
    """Errors about unknown parts say what the run or model in `about` was made with."""
    try:
        yield
    except ConfigError as error:
        missing = [name for name in about.get("used", ()) if name not in USED]
        if not missing:
            raise
        options = " ".join(f"--use {name}" for name in missing)
        raise SaveError(
            f"{error} It was made with code that is not part of medshot. Type `medshot {options}` "
            f"before the command (in Python: medshot.use({missing[0]!r})), if you trust that code: "
            "it is never run because a file names it."
        ) from error


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"--use {path}: there is no such file. Correct the path.")
    name = f"medshot_used_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--use {path}: this is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
