"""A patient: what lies where, and how the body is placed, turned and shaped in the picture."""

from typing import NamedTuple

import numpy as np

from medshot.data.phantoms.fields import Map, grid, rotate, smooth_noise


class Body(NamedTuple):
    """One patient before any finding.

    `tissue` is density, signal, echo strength, pigment or stain, whatever the modality sees, in
    0 to 1; `site` is 1 where a finding may lie and 0 elsewhere.
    """

    tissue: Map
    site: Map


def patient_grid(rng: np.random.Generator, size: int, bend: float = 0.05) -> tuple[Map, Map]:
    """Return body coordinates of every pixel for one patient.

    The anatomy is drawn analytically in these coordinates, which bends it without resampling.
    `bend` is the standard deviation of the local displacement, in half image sides.
    """
    x, y = grid(size)
    x, y = rotate(x, y, float(rng.normal(0.0, 0.12)))
    scale = rng.uniform(0.9, 1.2, 2)
    shift = rng.normal(0.0, 0.07, 2)
    # Mirrored anatomy stands in for the two sides of the body and for flipped exports.
    side = float(rng.choice([-1.0, 1.0]))
    bent_x = side * float(scale[0]) * x + float(shift[0]) + bend * smooth_noise(rng, size, 3)
    bent_y = float(scale[1]) * y + float(shift[1]) + bend * smooth_noise(rng, size, 3)
    return bent_x, bent_y
