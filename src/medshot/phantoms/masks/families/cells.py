"""Cells of one to three types among debris, some touching; types may look alike."""

from typing import ClassVar

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.phantoms.fields import noise
from medshot.phantoms.masks.canvas import Canvas, ellipsoid
from medshot.phantoms.masks.families.base import Family, Tissue, between, some

GROUND, STROMA, DEBRIS, FIRST = 0, 1, 2, 3
MOST = 90


class Cells(Family):
    """A cell type has a size, elongation, density and look; types differ in some of these."""

    styles: ClassVar = {"fluorescence": 0.35, "stain": 0.4, "grey": 0.25}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        types = max(classes, int(rng.integers(1, 4)))
        base = between(rng, 0.05, 0.16)
        twin = types > 1 and rng.random() < 0.3
        # a twin differs from the first type in size only
        sizes = [base, base * float(rng.choice([0.45, 2.1]) if twin else between(rng, 0.6, 1.7))]
        self.radii = [*sizes, base * between(rng, 0.6, 1.7)][:types]
        self.long = [float(rng.uniform(1.0, 2.2)) for _ in range(types)]
        self.cover = [between(rng, 0.04, 0.45) / types for _ in range(types)]
        self.spread = float(rng.uniform(0.05, 0.3))
        self.rough = between(rng, 0.03, 0.2)
        self.clusters = int(rng.integers(0, 4))
        self.overlap = float(rng.uniform(0.0, 0.3))
        self.stroma = float(rng.uniform(-0.3, 0.9)) if rng.random() < 0.4 else None
        self.debris = int(rng.integers(2, 15)) if rng.random() < 0.5 else 0
        like = FIRST if rng.random() < 0.5 else None
        first, *others = (Tissue(f"cell {i + 1}") for i in range(types))
        if twin:
            others[0] = Tissue("cell 2", like=FIRST)
        ground = Tissue("ground"), Tissue("stroma"), Tissue("debris", like)
        self.tissues = (*ground, first, *others)
        cells = range(FIRST, FIRST + types)
        pairs = [(FIRST, other) for other in cells[1:] if not twin or other != FIRST + 1]
        self.apart = (*((ground, cell) for ground in (GROUND, STROMA) for cell in cells), *pairs)

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """Cell types, or all cells as one class."""
        cells = list(range(FIRST, len(self.tissues)))
        if classes == 1 and rng.random() < 0.4:
            return [tuple(cells)]
        return some(rng, cells, classes)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Stroma, then debris, then cells with limited overlap."""
        if self.stroma is not None:
            canvas.all(noise(rng, canvas.shape, 3) > self.stroma, STROMA)
        for _ in range(self.debris):
            speck = ellipsoid(rng, rng.uniform(-1, 1, canvas.axes), float(rng.uniform(0.012, 0.03)))
            canvas.paint(*canvas.inside(speck), DEBRIS)
        radius = float(np.mean(self.radii))
        canvas.bend(rng, self.rough * radius, max(2, min(30, round(1.2 / radius))))
        for i, radius in enumerate(self.radii):
            for centre in self._centres(rng, canvas.axes, i):
                self._cell(canvas, rng, centre, radius, i)

    def _cell(
        self, canvas: Canvas, rng: np.random.Generator, centre: ndarray, radius: float, i: int
    ) -> None:
        size = radius * float(np.exp(self.spread * rng.standard_normal()))
        size = min(max(size, 0.6 * radius), 1.6 * radius)
        long = 1.0 + (self.long[i] - 1.0) * float(rng.uniform(0.5, 1.3))
        window, inside = canvas.inside(ellipsoid(rng, centre, size, long))
        taken = canvas.tissue[window][inside] >= FIRST
        if len(taken) and taken.mean() <= self.overlap:
            canvas.paint(window, inside, FIRST + i, shade=float(rng.standard_normal()))

    def _centres(self, rng: np.random.Generator, axes: int, i: int) -> Float[ndarray, "m d"]:
        room = self.cover[i] * float(rng.uniform(0.4, 1.6)) / self.radii[i] ** axes
        count = int(np.clip(room * (1.27 if axes == 2 else 1.9), 2, MOST))
        centres = rng.uniform(-1.0, 1.0, (count, axes))
        centres[0] *= 0.7  # at least one is well inside the image
        if self.clusters:
            middles = rng.uniform(-0.9, 0.9, (self.clusters, axes))
            chosen = middles[rng.integers(self.clusters, size=count)]
            near = chosen + 0.3 * rng.standard_normal((count, axes))
            centres = np.where(rng.random((count, 1)) < 0.7, near, centres)
            centres[0] = np.clip(centres[0], -0.8, 0.8)
        return centres
