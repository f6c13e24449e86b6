"""Cross-sections: a torso for CT and a head for MR, as tables of organs."""

from typing import NamedTuple

import numpy as np

from medshot.data.phantoms.anatomy.body import Body, patient_grid
from medshot.data.phantoms.fields import Map, ellipse, smooth_noise, soft_step


class Organ(NamedTuple):
    """An ellipse of tissue: centre and radii in half image sides, density in 0 to 1."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    density: float


TORSO = (
    Organ((0.00, 0.00), (0.94, 0.74), 0.26),  # skin and fat
    Organ((0.00, 0.00), (0.86, 0.65), 0.47),  # muscle wall
    Organ((0.00, 0.02), (0.76, 0.56), 0.36),  # visceral fat
    Organ((-0.36, -0.08), (0.38, 0.40), 0.56),  # liver
    Organ((0.52, 0.02), (0.18, 0.26), 0.55),  # spleen
    Organ((0.26, -0.28), (0.24, 0.16), 0.48),  # stomach
    Organ((0.30, -0.33), (0.11, 0.07), 0.08),  # gas
    Organ((-0.36, 0.32), (0.14, 0.13), 0.62),  # kidney
    Organ((0.36, 0.32), (0.14, 0.13), 0.62),  # kidney
    Organ((0.00, 0.40), (0.16, 0.14), 0.92),  # vertebra
    Organ((0.04, 0.18), (0.07, 0.07), 0.68),  # aorta
)

HEAD = (
    Organ((0.00, 0.00), (0.84, 0.97), 0.78),  # scalp fat
    Organ((0.00, 0.00), (0.78, 0.91), 0.10),  # skull
    Organ((0.00, 0.00), (0.73, 0.86), 0.22),  # fluid
)


def _paint(canvas: Map, x: Map, y: Map, organ: Organ, rng: np.random.Generator) -> None:
    """Lay one organ over the canvas, varied as between people."""
    move = rng.normal(0.0, 0.025, 2)
    grow = rng.uniform(0.88, 1.12, 2)
    centre = (organ.centre[0] + float(move[0]), organ.centre[1] + float(move[1]))
    radii = (organ.radii[0] * float(grow[0]), organ.radii[1] * float(grow[1]))
    density = organ.density + float(rng.normal(0.0, 0.035))
    canvas += ellipse(x, y, centre, radii) * (density - canvas)


def torso(rng: np.random.Generator, size: int) -> Body:
    """Return one axial torso slice; findings lie within the muscle wall."""
    x, y = patient_grid(rng, size)
    canvas = np.zeros_like(x)
    _paint(canvas, x, y, TORSO[0], rng)
    site = ellipse(x, y, TORSO[1].centre, TORSO[1].radii, edge=0.1)
    for organ in TORSO[1:]:
        _paint(canvas, x, y, organ, rng)
    canvas += 0.03 * smooth_noise(rng, size, 9) * site
    return Body(canvas, site)


def head(rng: np.random.Generator, size: int) -> Body:
    """Return one axial head slice: cortex, white matter, ventricles; findings lie in the brain."""
    x, y = patient_grid(rng, size, bend=0.03)
    canvas = np.zeros_like(x)
    for organ in HEAD:
        # Only the pose varies the shells: varied one by one, the skull would cross the scalp.
        canvas += ellipse(x, y, organ.centre, organ.radii) * (organ.density - canvas)
    folds = smooth_noise(rng, size, 11)
    rho = np.sqrt((x / 0.71) ** 2 + (y / 0.84) ** 2)
    brain = soft_step(1.0 - rho + 0.03 * np.minimum(folds, 0.5), 0.06)
    white = soft_step(0.76 - rho + 0.07 * folds, 0.08)
    canvas += brain * (float(rng.normal(0.47, 0.03)) - canvas)
    canvas += white * (float(rng.normal(0.62, 0.03)) - canvas)
    wide = float(rng.uniform(0.06, 0.12))
    for side in (-1.0, 1.0):
        ventricle = Organ((side * 0.13, 0.0), (wide, 0.26), 0.18)
        _paint(canvas, x + side * 0.25 * y**2, y, ventricle, rng)
    return Body(canvas, brain)
