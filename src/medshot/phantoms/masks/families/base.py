"""Base class of families of scenes (tissues, what can be marked), and the family of regions."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from medshot.phantoms.fields import noise
from medshot.phantoms.masks.canvas import Canvas


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


class Regions(Family):
    """The largest of several smooth random fields decides the tissue.

    Source: the shapes of Hoffmann et al. 2022, SynthMorph, IEEE Trans. Med. Imaging 41, 543-558.
    """

    styles: ClassVar = {"stain": 0.4, "grey": 0.4, "photo": 0.2}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        count = max(classes + 1, int(rng.integers(2, 6)))
        self.bumps = int(rng.integers(2, 6))
        self.favour = 0.4 * rng.standard_normal(count)
        self.tissues = tuple(Tissue(f"region {i + 1}") for i in range(count))
        self.apart = tuple((i, j) for i in range(count) for j in range(i))

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """Any of them."""
        return some(rng, list(range(1, len(self.tissues))), classes)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One field a tissue; each connected part of a tissue is a thing."""
        fields = [noise(rng, canvas.shape, self.bumps) + bias for bias in self.favour]
        largest = np.argmax(fields, 0)
        everywhere = tuple(slice(None) for _ in canvas.shape)
        for tissue in range(1, len(self.tissues)):
            parts = np.empty(canvas.shape, np.int32)
            ndimage.label(largest == tissue, output=parts)
            for part in range(1, int(parts.max()) + 1):
                canvas.paint(everywhere, parts == part, tissue)
