"""What tells the classes of a task apart: attributes, their levels, and how they are drawn."""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np


@dataclass(frozen=True)
class Level:
    """One named level of an attribute; a class takes its value between `low` and `high`."""

    word: str
    low: float = 0.0
    high: float = 0.0


Axes = tuple[tuple[Level, ...], ...]


@dataclass(frozen=True)
class Look:
    """The appearance of one class: a word and a value for each attribute."""

    words: tuple[str, ...]
    values: tuple[float, ...]


def most_classes(axes: Axes) -> int:
    """Return how many different classes the attributes allow."""
    return int(np.prod([len(axis) for axis in axes]))


def draw_looks(axes: Axes, way: int, rng: np.random.Generator) -> list[Look]:
    """Draw `way` classes that stay apart.

    The levels of an attribute leave a gap between them, and two classes differ in at least two
    attributes, or in one once no such class is left.
    """
    codes = list(product(*(range(len(axis)) for axis in axes)))
    queue = [codes[i] for i in rng.permutation(len(codes))]
    chosen: list[tuple[int, ...]] = []
    for apart in (2, 1):
        for code in queue:
            if all(_distance(code, other) >= apart for other in chosen):
                chosen.append(code)
    # One draw a class and attribute, whatever `way` is: class 0 stays the same in a wider task.
    return [_look(axes, code, rng.random(len(axes))) for code in chosen[:way]]


def short_names(looks: list[Look]) -> tuple[str, ...]:
    """Return the shortest names that tell the classes apart, from as few attributes as will do."""
    count = len(looks[0].words)
    for length in range(1, count + 1):
        for axes in combinations(range(count), length):
            names = [" ".join(look.words[axis] for axis in axes) for look in looks]
            if len(set(names)) == len(names):
                return tuple(names)
    raise AssertionError("two classes have the same look")


def _distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(left != right for left, right in zip(a, b, strict=True))


def _look(axes: Axes, code: tuple[int, ...], where: np.ndarray) -> Look:
    levels = [axis[index] for axis, index in zip(axes, code, strict=True)]
    values = [
        level.low + (level.high - level.low) * float(t)
        for level, t in zip(levels, where, strict=True)
    ]
    return Look(tuple(level.word for level in levels), tuple(values))
