"""Lesions: irregular, textured patches on skin or in an organ, among distractor spots."""

from typing import ClassVar

import numpy as np

from medshot.phantoms.fields import noise
from medshot.phantoms.masks.canvas import Canvas, Ellipsoid, coordinates, ellipsoid
from medshot.phantoms.masks.families.base import Family, Tissue, between

FAR, THING, STRAY, SITE, SITE_TOO, SPOT, RIM, LESION, CORE, BLANK = range(10)


class Lesions(Family):
    """Background clutter, a limb or organ, and lesions on it with a rim and perhaps a core."""

    styles: ClassVar = {"photo": 0.65, "grey": 0.35}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        self.radius = between(rng, 0.07, 0.35)
        self.many = int(rng.integers(1, 4)) if self.radius < 0.2 else 1
        self.site = float(rng.uniform(0.6, 1.1))
        self.long = float(rng.uniform(1.0, 2.2))
        self.rough = float(rng.uniform(0.15, 0.8))
        self.rim = float(rng.uniform(1.15, 1.6)) if classes > 1 or rng.random() < 0.5 else 0.0
        self.core = float(rng.uniform(0.4, 0.7)) if classes > 2 or rng.random() < 0.4 else 0.0
        self.spots = int(rng.integers(2, 12)) if rng.random() < 0.7 else 0
        self.clutter = int(rng.integers(1, 6))
        self.blank = bool(rng.random() < 0.3)
        like = {STRAY: LESION if rng.random() < 0.5 else None}
        like[SPOT] = LESION if rng.random() < 0.4 else None
        names = ("far", "thing", "stray thing", "site", "other site", "spot", "rim", "lesion")
        inside = (Tissue(name, like.get(i)) for i, name in enumerate((*names, "core")))
        self.tissues = (*inside, Tissue("blank", dark=True))
        self.apart = (
            *((SITE, LESION), (SITE_TOO, LESION), (FAR, SITE), (RIM, LESION)),
            *((SITE, RIM), (SITE, CORE), (LESION, CORE)),
        )

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """The lesion with its core; for more classes, its rim, and the core separately."""
        whole = (LESION, CORE)
        if classes == 1:
            return [(RIM, *whole)] if self.rim and rng.random() < 0.2 else [whole]
        return [whole, (RIM,)] if classes == 2 else [(LESION,), (RIM,), (CORE,)]

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Clutter, the site, spots on it, lesions within it, perhaps a blank margin."""
        axes = canvas.axes
        for _ in range(self.clutter):
            tissue = THING if rng.random() < 0.6 else STRAY
            thing = ellipsoid(rng, rng.uniform(-1.1, 1.1, axes), between(rng, 0.1, 0.5), 1.8)
            canvas.paint(*canvas.inside(thing), tissue, shade=float(rng.standard_normal()))
        canvas.bend(rng, 0.04, 4)
        middle = rng.uniform(-0.25, 0.25, axes)
        place = ellipsoid(rng, middle, self.site, self.long)
        canvas.paint(*canvas.inside(place), SITE)
        canvas.all((noise(rng, canvas.shape, 4) > 0.9) & (canvas.tissue == SITE), SITE_TOO)
        for _ in range(self.spots):
            where = self._within(rng, place, 0.9)
            spot = ellipsoid(rng, where, between(rng, 0.015, 0.05), float(rng.uniform(1.0, 3.0)))
            canvas.paint(*canvas.inside(spot), SPOT, onto=(SITE, SITE_TOO))
        canvas.bend(rng, self.rough * 0.3 * self.radius, max(3, min(24, round(1.5 / self.radius))))
        for _ in range(int(rng.integers(1, self.many + 1))):
            self._lesion(canvas, rng, np.clip(self._within(rng, place, 0.6), -0.8, 0.8))
        if self.blank:
            side = int(rng.choice((-1, 1))) * coordinates(canvas.shape)[rng.integers(axes)]
            canvas.all(side > rng.uniform(0.5, 1.0), BLANK)

    def _lesion(self, canvas: Canvas, rng: np.random.Generator, centre: np.ndarray) -> None:
        # a ball fills a smaller fraction of its cube than a disk of its square
        radius = self.radius * (1.0 if canvas.axes == 2 else 1.5)
        size = radius * float(np.exp(rng.uniform(-0.4, 0.25)))
        body = ellipsoid(rng, centre, size, float(rng.uniform(1.0, 1.8)))
        onto = (SITE, SITE_TOO, SPOT, RIM)
        shade, inner = float(rng.standard_normal()), 0
        for tissue, scale in ((RIM, self.rim), (LESION, 1.0), (CORE, self.core)):
            if scale:
                where = canvas.inside(body.scaled(scale))
                inner = canvas.paint(*where, tissue, shade=shade, onto=onto, within=inner)
                onto = (*onto, tissue)

    def _within(self, rng: np.random.Generator, place: Ellipsoid, share: float) -> np.ndarray:
        """A random point in the ellipsoid, scaled by `share`."""
        axes = len(place.centre)
        ball = rng.standard_normal(axes)
        ball *= share * rng.random() ** (1 / axes) / np.linalg.norm(ball)
        return place.centre + np.linalg.solve(place.matrix, ball)
