"""Membranes: tightly packed cells, the walls between them, and organelles inside."""

from itertools import product
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from medshot.phantoms.masks.canvas import Canvas, ellipsoid, turn
from medshot.phantoms.masks.families.base import Family, Tissue, between

INSIDE, FILLED, WALL, LARGE, CORE, SMALL = range(6)


class Membranes(Family):
    """Deformed Voronoi cells; organelles often look like walls, but are not."""

    styles: ClassVar = {"grey": 0.65, "fluorescence": 0.2, "stain": 0.15}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        self.across = between(rng, 4.0, 20.0)
        self.wall = float(rng.uniform(0.03, 0.11))  # relative to a cell
        self.uneven = float(rng.uniform(0.2, 0.5))  # seed jitter, relative to a cell
        self.stretch = between(rng, 1.0, 2.5)
        self.rough = float(rng.uniform(0.1, 0.4))
        self.large = int(rng.integers(1, 9)) if classes > 1 or rng.random() < 0.7 else 0
        self.small = int(rng.integers(4, 40)) if classes > 2 or rng.random() < 0.7 else 0
        self.filled = float(rng.uniform(0.1, 0.4)) if rng.random() < 0.4 else 0.0
        like = {SMALL: WALL if rng.random() < 0.6 else None}
        like[LARGE] = WALL if rng.random() < 0.4 else None
        names = ("inside", "other inside", "wall", "organelle", "matrix", "vesicle")
        self.tissues = tuple(Tissue(name, like.get(i)) for i, name in enumerate(names))
        self.apart = (
            *((INSIDE, WALL), (FILLED, WALL), (INSIDE, LARGE), (INSIDE, SMALL)),
            *((INSIDE, FILLED),),
        )

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """Usually the walls; organelles with their matrix; vesicles."""
        organelle = (LARGE, CORE)
        if classes == 1:
            return [organelle] if self.large and rng.random() < 0.25 else [(WALL,)]
        return [(WALL,), organelle, (SMALL,)][:classes]

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Cells, organelles inside, and the walls last, so that nothing crosses them."""
        size = 2.0 / self.across
        canvas.bend(rng, self.rough * size, max(2, round(self.across)))
        first, second, owner = self._nearest(canvas, rng)
        if self.filled:
            canvas.all(owner < self.filled, FILLED)
        for _ in range(self.large):
            radius = max(0.05, size * float(rng.uniform(0.2, 0.5)))
            body = ellipsoid(
                rng, rng.uniform(-0.9, 0.9, canvas.axes), radius, float(rng.uniform(1.0, 2.0))
            )
            large = canvas.paint(*canvas.inside(body), LARGE)
            canvas.paint(*canvas.inside(body.scaled(0.7)), CORE, more_of=large)
        for _ in range(self.small):
            radius = max(size * float(rng.uniform(0.05, 0.12)), 1.0 / min(canvas.shape))
            speck = ellipsoid(rng, rng.uniform(-1, 1, canvas.axes), radius)
            canvas.paint(*canvas.inside(speck), SMALL)
        width = max(self.wall, 1.3 / (min(canvas.shape) / self.across))
        everywhere = tuple(slice(None) for _ in canvas.shape)
        canvas.paint(everywhere, second - first < width, WALL)

    def _nearest(
        self, canvas: Canvas, rng: np.random.Generator
    ) -> tuple[Float32[ndarray, "*s"], Float32[ndarray, "*s"], Float32[ndarray, "*s"]]:
        """Distances to the two nearest seeds, in cells, and a random number of the nearest.

        One seed per unit cell. Only a pixel's own and adjacent unit cells are searched, which can
        miss the second seed if seeds are very uneven. Source: Worley 1996, A cellular texture
        basis function, SIGGRAPH.
        """
        axes = canvas.axes
        frame = turn(rng, axes) * (self.across / 2)
        frame[0] /= self.stretch
        place = np.tensordot(frame.astype(np.float32), canvas.at, 1)
        low = np.floor(place).astype(np.int64)
        start = low.reshape(axes, -1).min(1) - 1
        extent = tuple(low.reshape(axes, -1).max(1) - start + 2)
        seeds = 0.5 + self.uneven * rng.uniform(-1, 1, (axes, *extent)).astype(np.float32)
        numbers = rng.random(extent, dtype=np.float32)
        corner = low - start.reshape(-1, *(1,) * axes)
        within = place - low
        steps = np.cumprod((1, *extent[:0:-1]))[::-1]
        flat = np.tensordot(steps, corner, 1)
        seeds, numbers = seeds.reshape(axes, -1), numbers.reshape(-1)
        first = np.full(canvas.shape, 9.0, np.float32)
        second, owner = first.copy(), np.zeros(canvas.shape, np.float32)
        for offset in product((-1, 0, 1), repeat=axes):
            index = flat + int(np.dot(steps, offset))
            away = np.zeros(canvas.shape, np.float32)
            for axis in range(axes):
                away += (seeds[axis][index] + offset[axis] - within[axis]) ** 2
            nearer = away < first
            second = np.minimum(second, np.maximum(first, away))
            first = np.minimum(first, away)
            owner = np.where(nearer, numbers[index], owner)
        return np.sqrt(first), np.sqrt(second), owner
