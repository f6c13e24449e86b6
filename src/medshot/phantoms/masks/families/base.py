"""Base class of scene families, and the family of regions."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from medshot.phantoms.fields import noise
from medshot.phantoms.masks.canvas import Canvas


@dataclass(frozen=True)
class Tissue:
    """A tissue; `like` looks identical, `near` looks nearly identical.

    A `dark` tissue has no signal.
    """

    name: str
    like: int | None = None
    near: int | None = None
    dark: bool = False


class Family(ABC):
    """Layout family of a task: `__init__` draws what the task fixes, `draw` one image.

    `tissues[0]` is the background. `apart` holds pairs of tissues that must look different.
    `styles` are suitable palettes with their probabilities.
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
        """Tissues of each class."""


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Sample log-uniformly."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def some(rng: np.random.Generator, choices: list[int], count: int) -> list[tuple[int, ...]]:
    """`count` random tissues, each a class of its own."""
    return [(int(tissue),) for tissue in rng.permutation(choices)[:count]]


class Regions(Family):
    """The tissue at a pixel is the argmax over several smooth random fields.

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
        """Any of the regions."""
        return some(rng, list(range(1, len(self.tissues))), classes)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """One field per tissue; each connected component is an object."""
        fields = [noise(rng, canvas.shape, self.bumps) + bias for bias in self.favour]
        largest = np.argmax(fields, 0)
        everywhere = tuple(slice(None) for _ in canvas.shape)
        for tissue in range(1, len(self.tissues)):
            parts = np.empty(canvas.shape, np.int32)
            ndimage.label(largest == tissue, output=parts)
            for part in range(1, int(parts.max()) + 1):
                canvas.paint(everywhere, parts == part, tissue)
