"""Command lines as people type them, and as a report repeats them."""

import shlex
import shutil
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path

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
