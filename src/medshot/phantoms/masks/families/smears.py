"""Smears: a few large cells with lobed nuclei among many small ones."""

from typing import ClassVar

import numpy as np

from medshot.phantoms.masks.canvas import Canvas, ellipsoid
from medshot.phantoms.masks.families.base import Family, Tissue, between

GROUND, CELL, PALE, SPECK, CYTOPLASM, NUCLEUS, GRANULE = range(7)


class Smears(Family):
    """White cells (cytoplasm, nucleus, perhaps granules) over red cells with a pale center."""

    styles: ClassVar = {"stain": 0.8, "grey": 0.2}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        self.radius = between(rng, 0.22, 0.55)
        self.many = int(rng.integers(1, 4)) if self.radius < 0.35 else 1
        self.fill = float(rng.uniform(0.35, 0.75))
        self.lobes = int(rng.integers(1, 5))
        self.red = float(rng.uniform(0.16, 0.3))
        self.reds = int(rng.integers(2, 14))
        self.pale = bool(rng.random() < 0.6)
        self.specks = int(rng.integers(0, 6))
        self.granules = int(rng.integers(5, 25)) if rng.random() < 0.4 else 0
        names = ("ground", "red cell", "pale middle", "platelet", "cytoplasm", "nucleus", "granule")
        like = {PALE: GROUND, SPECK: NUCLEUS, GRANULE: NUCLEUS if rng.random() < 0.3 else None}
        self.tissues = tuple(Tissue(name, like.get(i)) for i, name in enumerate(names))
        self.apart = (
            *((GROUND, CELL), (GROUND, CYTOPLASM), (GROUND, NUCLEUS)),
            *((CYTOPLASM, NUCLEUS), (CELL, CYTOPLASM), (CELL, NUCLEUS)),
        )

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """Nucleus, cytoplasm, the whole white cell, or red cells with their center."""
        cytoplasm, nucleus, red = (CYTOPLASM, GRANULE), (NUCLEUS,), (CELL, PALE)
        if classes == 1:
            whole = (*cytoplasm, *nucleus)
            return [[nucleus, whole, red][int(rng.choice(3, p=[0.45, 0.4, 0.15]))]]
        return [cytoplasm, nucleus, red][:classes]

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Red cells and platelets, and the white cells over them."""
        canvas.bend(rng, 0.03, 5)
        for _ in range(max(2, int(self.reds * rng.uniform(0.6, 1.4)))):
            self._red(canvas, rng, rng.uniform(-1.0, 1.0, canvas.axes))
        for _ in range(self.specks):
            speck = ellipsoid(rng, rng.uniform(-1, 1, canvas.axes), float(rng.uniform(0.03, 0.08)))
            canvas.paint(*canvas.inside(speck), SPECK)
        reach = 0.35 if self.many == 1 else 0.7
        for _ in range(self.many):
            self._white(canvas, rng, rng.uniform(-reach, reach, canvas.axes))

    def _red(self, canvas: Canvas, rng: np.random.Generator, centre: np.ndarray) -> None:
        size = self.red * float(rng.uniform(0.85, 1.15))
        shade = float(rng.standard_normal())
        body = ellipsoid(rng, centre, size, float(rng.uniform(1.0, 1.3)))
        cell = canvas.paint(*canvas.inside(body), CELL, shade=shade)
        if self.pale:
            middle = ellipsoid(rng, centre, 0.45 * size)
            canvas.paint(*canvas.inside(middle), PALE, shade=shade, onto=(CELL,), more_of=cell)

    def _white(self, canvas: Canvas, rng: np.random.Generator, centre: np.ndarray) -> None:
        size = self.radius * float(rng.uniform(0.8, 1.2))
        body = ellipsoid(rng, centre, size, float(rng.uniform(1.0, 1.35)))
        shade = float(rng.standard_normal())
        cell = canvas.paint(*canvas.inside(body), CYTOPLASM, shade=shade)
        for _ in range(self.granules):
            where = centre + 0.5 * size * rng.standard_normal(canvas.axes)
            grain = ellipsoid(rng, where, float(rng.uniform(0.02, 0.04)))
            canvas.paint(*canvas.inside(grain), GRANULE, onto=(CYTOPLASM,), more_of=cell)
        lobes = int(np.clip(self.lobes + rng.integers(-1, 2), 1, 4))
        part = size * self.fill * lobes**-0.4
        nucleus = 0
        middle, shade = centre + 0.15 * size * rng.standard_normal(canvas.axes), shade + 0.5
        for _ in range(lobes):
            away = rng.standard_normal(canvas.axes)
            away *= (lobes > 1) * 0.85 * part / (np.linalg.norm(away) + 1e-6)
            shape = ellipsoid(rng, middle + away, part, float(rng.uniform(1.0, 1.7)))
            found, onto = canvas.inside(shape), (CYTOPLASM, GRANULE, NUCLEUS)
            form = {"shade": shade, "onto": onto, "within": cell, "more_of": nucleus}
            nucleus = canvas.paint(*found, NUCLEUS, **form)
