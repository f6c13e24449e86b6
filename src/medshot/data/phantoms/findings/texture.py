"""Textures: how diseased tissue is grained, by pattern, scale, direction and density."""

import numpy as np

from medshot.data.phantoms.fields import Map, grid, rotate, smooth_noise, soft_step
from medshot.data.phantoms.findings.looks import Axes, Level, Look

AXES: Axes = (
    (Level("cloudy"), Level("nodular"), Level("reticular")),
    # Value: bumps across the picture.
    (Level("fine", 19.0, 23.0), Level("coarse", 10.0, 12.0)),
    # Value: how many times longer the grain is along its direction.
    (Level("even", 1.0, 1.0), Level("level", 2.4, 2.8), Level("upright", 2.4, 2.8)),
    # Value: the mean change, as a share of the grain's depth.
    (Level("dense", 0.35, 0.45), Level("lucent", -0.45, -0.35)),
)


def draw(look: Look, rng: np.random.Generator, size: int) -> Map:
    """Return the change in density, about -1 to 1, inside a region of one patient's body."""
    _, bumps, stretch, mean = look.values
    across, along = round(bumps), max(2, round(bumps / stretch))
    field = smooth_noise(rng, size, across, along)
    if look.words[2] == "upright":
        field = field.T
    return (_pattern(look.words[0], field) + mean) * _region(rng, size)


def _pattern(kind: str, field: Map) -> Map:
    """Shape unit-variance noise into the pattern, with a mean near zero."""
    if kind == "nodular":
        return 1.5 * soft_step(field - 0.75, 0.6) - 0.35
    if kind == "reticular":
        return 1.4 * soft_step(0.3 - np.abs(field), 0.35) - 0.35
    return np.clip(0.6 * field, -1.0, 1.0)


def _region(rng: np.random.Generator, size: int) -> Map:
    """Return the soft mask of a large, irregular region that wanders between patients."""
    x, y = grid(size)
    x, y = rotate(x, y, float(rng.uniform(0.0, np.pi)))
    x0, y0 = rng.uniform(-0.2, 0.2, 2)
    rx, ry = rng.uniform(0.5, 0.75, 2)
    rho = np.sqrt(((x - float(x0)) / float(rx)) ** 2 + ((y - float(y0)) / float(ry)) ** 2)
    return soft_step(1.0 - rho + 0.1 * smooth_noise(rng, size, 4), 0.3)
