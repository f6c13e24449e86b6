"""What every family of scenes says of itself: its tissues, and what of them can be marked."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medshot.data.phantoms.scenes.canvas import Canvas


@dataclass(frozen=True)
class Tissue:
    """A tissue. `like` is one that it looks like, `near` one that it nearly looks like.

    No light comes from a `dark` one.
    """

    name: str
    like: int | None = None
    near: int | None = None
    dark: bool = False


class Family(ABC):
    """One task's kind of scene: what the task fixes is drawn in `__init__`, an image in `draw`.

    `tissues[0]` is what the canvas is before anything is painted. `apart` holds pairs of tissues
    whose looks must differ. `styles` are the looks that suit, with their odds.
    """

    styles: ClassVar[dict[str, float]]
    tissues: tuple[Tissue, ...]
    apart: tuple[tuple[int, int], ...]

    @abstractmethod
    def __init__(self, rng: np.random.Generator, classes: int) -> None: ...

    @abstractmethod
    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Paint one scene."""

    @abstractmethod
    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """For each class, the tissues that are marked as it."""


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number drawn evenly on the logarithmic scale: sizes and strengths of all orders."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def some(rng: np.random.Generator, choices: list[int], count: int) -> list[tuple[int, ...]]:
    """`count` of the tissues, each a class of its own."""
    return [(int(tissue),) for tissue in rng.permutation(choices)[:count]]
