"""Parts of a data set (train, valid, test) by the names of folders and files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from medshot.data.checks.issue import Issue

T = TypeVar("T")
PARTS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "valid"),
    **dict.fromkeys(("test", "testing", "ts"), "test"),
}
WORD = re.compile(r"[a-z]+")


def part_of(path: Path, folder: Path) -> str:
    """`train`, `valid` or `test` by a folder below `folder`; "" if none is called so."""
    names = path.relative_to(folder).parts[:-1]
    return next((PARTS[name.lower()] for name in names if name.lower() in PARTS), "")


def part_in(name: str) -> str:
    """The part that the name of a file says: `instances_val2017.json`."""
    return next((PARTS[word] for word in WORD.findall(name.lower()) if word in PARTS), "")


def training_part(
    given: Sequence[tuple[str, T]], folder: Path, count: Callable[[T], int] = lambda thing: 1
) -> tuple[list[T], str, list[Issue]]:
    """What belongs to the training part, or everything if there are no parts.

    `count` says how many images a thing stands for.

    Returns:
        the things, the name of the part ("" for all), and a warning on what is left out.
    """
    parts = {part for part, _ in given}
    if parts <= {""} or len(parts) == 1:
        return [thing for _, thing in given], next(iter(parts), ""), []
    chosen = next(part for part in ("train", "", "valid", "test") if part in parts)
    others = sorted(parts - {chosen})
    left = ", ".join(
        f"{other or 'others'} ({sum(count(t) for p, t in given if p == other)})" for other in others
    )
    what = f"of its parts only {chosen or 'images outside of them'} is read; left out: {left}"
    fix = "Give the folder of a part to use that one, for `evaluate` for example."
    return [t for p, t in given if p == chosen], chosen, [Issue("warning", folder, None, what, fix)]
