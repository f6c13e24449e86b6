"""Organs: an anatomy shared by all patients of a task, individually deformed and displaced."""

from typing import ClassVar

import numpy as np

from medshot.phantoms.fields import noise
from medshot.phantoms.masks.canvas import Canvas, Ellipsoid, ellipsoid
from medshot.phantoms.masks.families.base import Family, Tissue, some

OUTSIDE, BODY, OTHER, FIRST = 0, 1, 2, 3


class Organs(Family):
    """Ellipsoids at fixed places in a body; the first may consist of two similar parts."""

    styles: ClassVar = {"grey": 0.85, "photo": 0.15}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        self.seed = int(rng.integers(2**31))
        self.organs = int(rng.integers(3, 8))
        self.body = float(rng.uniform(0.75, 1.3))
        self.move = float(rng.uniform(0.02, 0.1))
        self.bent = float(rng.uniform(0.02, 0.07))
        self.mixed = bool(rng.random() < 0.5)
        self.parts = bool(rng.random() < 0.5)
        self.hollow = bool(rng.random() < 0.3)
        organs = [Tissue(f"organ {i + 1}") for i in range(self.organs)]
        if rng.random() < 0.3:  # differs from the first in place only
            organs[2] = Tissue("organ 3", like=FIRST)
        if self.parts:
            organs[1] = Tissue("organ 2", near=FIRST)
        outside = Tissue("outside", dark=bool(rng.random() < 0.6))
        self.tissues = (outside, Tissue("body"), Tissue("other tissue"), *organs)
        places = range(FIRST, FIRST + self.organs)
        self.apart = (*((BODY, organ) for organ in places), (OUTSIDE, BODY))

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """The two parts of the first organ, or any organs."""
        if self.parts and classes == 2 and rng.random() < 0.7:
            return [(FIRST,), (FIRST + 1,)]
        if self.parts and classes == 1 and rng.random() < 0.3:
            return [(FIRST, FIRST + 1)]
        return some(rng, list(range(FIRST, FIRST + self.organs)), classes)

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """The task's anatomy, deformed, moved and scaled for this image."""
        plan = np.random.default_rng(self.seed)
        canvas.bend(rng, self.bent, 3)
        shift = 0.5 * self.move * rng.standard_normal(canvas.axes)
        # a ball fills a smaller fraction of its cube than a disk of its square
        larger = min(1.0, self.body) * (1.0 if canvas.axes == 2 else 1.4)
        trunk = ellipsoid(plan, shift, self.body, 1.25)
        canvas.paint(*canvas.inside(trunk), BODY)
        if self.mixed:
            canvas.all((noise(rng, canvas.shape, 6) > 0.5) & (canvas.tissue == BODY), OTHER)
        for i, place in enumerate(_places(plan, self.organs, canvas.axes)):
            radius, long = float(plan.uniform(0.14, 0.36)), float(plan.uniform(1.0, 2.0))
            if i == 1 and self.parts:
                continue
            away = self.move * rng.standard_normal(canvas.axes)
            centre = (place + away + shift) * min(1.0, self.body)
            size = radius * float(np.exp(0.12 * rng.standard_normal())) * larger
            body = ellipsoid(plan, centre, size, long)
            self._organ(canvas, body, i)

    def _organ(self, canvas: Canvas, body: Ellipsoid, i: int) -> None:
        window, inside = canvas.inside(body)
        free = tuple(t for t in range(FIRST + i) if t not in (FIRST, FIRST + 1))
        organ = canvas.paint(window, inside, FIRST + i, onto=free)
        if i == 0 and self.parts:
            # the first row of the matrix is the organ's long axis, along which it is divided
            local = canvas.at[(slice(None), *window)] - body.centre.reshape(-1, *(1,) * canvas.axes)
            ahead = np.tensordot(body.matrix[0], local, 1) > 0.1
            canvas.paint(window, ahead, FIRST + 1, onto=(FIRST,), within=organ)
        elif self.hollow and i % 2:
            canvas.paint(*canvas.inside(body.scaled(0.6)), OTHER, onto=(FIRST + i,))


def _places(plan: np.random.Generator, count: int, axes: int) -> list[np.ndarray]:
    """Places for organs by farthest-point sampling."""
    found = [plan.uniform(-0.4, 0.4, axes)]
    while len(found) < count:
        tried = plan.uniform(-0.65, 0.65, (4, axes))
        away = np.min([np.linalg.norm(tried - other, axis=1) for other in found], 0)
        found.append(tried[away.argmax()])
    return found
