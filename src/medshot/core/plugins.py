"""Plug-ins: learners, encoders, tasks, readers, file formats and stages from outside medshot.

An installed package declares its modules as entry points, which are found automatically:

    [project.entry-points."medshot.learners"]
    cosine = "my_package.cosine"

Your own module or file is named explicitly: `medshot --use my_learner.py adapt ...` on the
command line, `medshot.use("my_learner.py")` in Python. Runs and models record what was used and
name it if it is missing; code that a file merely names is never run.
"""

import functools
import hashlib
import importlib
import importlib.util
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

from medshot.core.errors import ConfigError, MedshotError, SaveError, UnknownNameError

# medshot's package -> entry-point group for modules that register the same kind of part
GROUPS = {
    "medshot.learners": "medshot.learners",
    "medshot.nn": "medshot.encoders",
    "medshot.tasks": "medshot.tasks",
    "medshot.data.io.formats": "medshot.formats",
    "medshot.data.readers": "medshot.readers",
    "medshot.presenters": "medshot.tasks",
    "medshot.stages": "medshot.stages",
    "medshot.stages.finetune": "medshot.stages",
}
USED: list[str] = []  # arguments of `use`
PACKAGES: dict[str, str] = {}  # installed packages with entry points, and their versions
NEVER = "Code is never run because a file names it."


def own_version() -> str:
    """The installed version of medshot; "unknown" in a source checkout that is not installed."""
    try:
        return version("medshot")
    except PackageNotFoundError:
        return "unknown"


@functools.cache
def load_entry_points(package: str) -> None:
    """Import the modules that installed packages declare for `package`, once.

    A module that fails gives a warning and does not affect the others.
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
        else:
            if point.dist:
                PACKAGES[point.dist.name] = point.dist.version


def use(what: str | Path) -> None:
    """Import a module by name, or a file that ends with `.py`, so that it registers its parts.

    Raises:
        ConfigError: there is no such module or file, or importing it fails.
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
    except Exception as error:  # foreign code may raise anything
        raise ConfigError(
            f"--use {what}: it cannot be imported ({type(error).__name__}: {error}). Name a file "
            "that ends with .py, or an importable module."
        ) from error
    if name not in USED:
        USED.append(name)


def remembered() -> dict[str, Any]:
    """Record of the plug-ins in use, for runs and models; empty if there are none."""
    found = {"used": list(USED), "packages": dict(PACKAGES)}
    return {name: value for name, value in found.items() if value}


@contextmanager
def remembering(about: Mapping[str, Any], path: Path) -> Iterator[None]:
    """Explain unknown parts in `path` by the plug-ins that `about` records.

    Raises:
        SaveError: in place of an error about an unknown name.
    """
    try:
        yield
    except UnknownNameError as error:
        used = [str(name) for name in about.get("used", ()) if name not in USED]
        packages = [f"{name} {version}" for name, version in _others(about.get("packages"))]
        raise SaveError(f"{path} cannot be used. {error} {_advice(used, packages)}") from error


def _others(packages: Any) -> Iterator[tuple[str, str]]:
    known = packages if isinstance(packages, dict) else {}
    yield from ((name, version) for name, version in known.items() if name not in PACKAGES)


def _advice(used: list[str], packages: list[str]) -> str:
    made = "It was made with code that is not part of medshot."
    if used:
        options = " ".join(f"--use {shlex.quote(name)}" for name in used)
        return (
            f"{made} If you trust it, type `medshot {options}` before the command (in Python: "
            f"medshot.use({used[0]!r})). {NEVER}"
        )
    if packages:
        return f"{made} If you trust it, install the package: {' or '.join(packages)}. {NEVER}"
    return (
        "If this is from your own code, name that too: --use MODULE|FILE.py (in Python: "
        f"medshot.use). If not, the file is damaged: copy the folder again. {NEVER}"
    )


def _import_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"--use {path}: there is no such file. Correct the path.")
    # files of the same name in two folders are different modules
    name = f"medshot_used_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--use {path}: this is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
