"""Parsing of arguments: command lines, durations (`90s`, `10m`, `1.5h`), shared options.

Nothing here imports PyTorch.
"""

import functools
import inspect
import math
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import typer

from medshot import ConfigError, Option, SaveError, declared_options, refuse_taken

SEVERAL = ("--data",)  # options that take several values
WORDS: ContextVar[tuple[str, ...]] = ContextVar("words", default=())  # of the command that runs


def spread(argv: Sequence[str]) -> list[str]:
    """Repeat an option of `SEVERAL` before each of its values: `--data A --data B --data C`."""
    found: list[str] = []
    current, waiting = "", False
    for i, word in enumerate(argv):
        if word == "--":
            return [*found, *argv[i:]]
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            current = name if name in SEVERAL else ""
            waiting = bool(current) and not equals
            found.append(word)
        else:
            found += [word] if waiting or not current else [current, word]
            waiting = False
    return found


def take_use(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command line without `--use X`, wherever it stands, and what was to be used."""
    left: list[str] = []
    used: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            return [*left, word, *words], used
        if word == "--use":
            value = next(words, None)
            if value is None:
                raise ConfigError("--use needs a module, or a file that ends with .py, after it.")
            used.append(value)
        elif word.startswith("--use="):
            used.append(word.removeprefix("--use="))
        else:
            left.append(word)
    return left, used


def program() -> str:
    """What to type to start medshot again: its name where the shell finds it, else its path."""
    if shutil.which("medshot"):
        return "medshot"
    started = Path(sys.argv[0])
    if started.stem == "medshot" and started.is_file():
        return shlex.quote(str(started))
    return f"{python()} -m medshot"


def python() -> str:
    """What to type to start this Python: its name where the shell finds it, else its path."""
    found = shutil.which("python")
    here = found is not None and Path(found).absolute() == Path(sys.executable).absolute()
    return "python" if here else shlex.quote(sys.executable)


def typed() -> str:
    """The command that runs, as it was typed."""
    return shlex.join(["medshot", *WORDS.get()])


UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """How many seconds `text` says.

    Raises:
        ConfigError: it is no time, or none at all.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise ConfigError(f"{text!r} is no time to spend: say 90s, 10m or 2h.")
    return seconds


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


def out_option(help_: str) -> Any:
    """The option --out for a place where nothing may be yet."""
    return typer.Option(..., "--out", help=help_, callback=free)


def new_json(help_: str) -> Any:
    """The option --json for a file that may not be there yet."""
    return typer.Option(None, "--json", metavar="FILE", help=help_, callback=free)


KINDS = (  # of tasks that come with medshot: to ask what is registered would import PyTorch
    "classification",
    "detection",
    "enhancement",
    "multi-label",
    "ordinal",
    "points",
    "regression",
    "segmentation",
)
TASK: Any = typer.Option(
    None, "--task", help=f"{', '.join(KINDS)}.", show_default="as labels.csv says"
)
IGNORE_VALUE: Any = typer.Option(
    None,
    "--ignore-value",
    min=0,
    metavar="NUMBER",
    help="Number in masks of pixels without a label, say 255: masks may be scribbles.",
    show_default="as the folder says",
)
POINT_SIZE: Any = typer.Option(
    None,
    "--point-size",
    min=1,
    metavar="PIXELS",
    help="How many pixels objects marked by points are across; within half of it is found.",
    show_default="as estimated from the images",
)
SKIP_BAD: Any = typer.Option(
    False, "--skip-bad", help="Leave out lines and files that cannot be used, and name them."
)
THREADS: Any = typer.Option(
    1, "--threads", min=1, help="Of the processor, an operation. More are often slower."
)


def option_parameter(option: Option) -> inspect.Parameter:
    """The parameter from which Typer makes a declared option."""
    about: dict[str, Any] = {"help": option.help, "min": option.min, "max": option.max}
    if option.type is dict:
        about["metavar"] = "NAME=VALUE"
    if option.shown:
        about["show_default"] = option.shown
    default = [] if option.type is dict else option.default
    kind = list[str] if option.type is dict else option.type
    words = () if kind is bool else (option.word,)
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(default, *words, **about),
        annotation=kind | None if default is None else kind,
    )


def expand_configs(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator of a command: a parameter that is a dataclass becomes one option for each field.

    Typer reads the options from the signature, which is made here of what `option` declares. The
    command gets the dataclass with the values of the command line.
    """
    given = inspect.signature(command).parameters
    configs: dict[str, Any] = {
        p.name: p.annotation for p in given.values() if is_dataclass(p.annotation)
    }
    shown: list[inspect.Parameter] = []
    for parameter in given.values():
        if parameter.name in configs:
            for each in declared_options(configs[parameter.name]):
                shown.append(option_parameter(each))
        else:
            shown.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def with_configs(**typed: Any) -> None:
        made = {
            name: config(**{o.name: typed.pop(o.name) for o in declared_options(config)})
            for name, config in configs.items()
        }
        command(**typed, **made)

    with_configs.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    with_configs.__annotations__ = {p.name: p.annotation for p in shown}
    return with_configs
