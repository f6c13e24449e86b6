"""Lesions: round, lobulated or spiculated masses, dense or lucent, of two sizes, one or several."""

import numpy as np

from medshot.data.phantoms.fields import Map, grid, smooth_noise, soft_step
from medshot.data.phantoms.findings.looks import Axes, Level, Look

AXES: Axes = (
    # Value: how far the outline leaves the circle, as a share of the radius.
    (Level("round", 0.0, 0.03), Level("lobulated", 0.2, 0.27), Level("spiculated", 0.8, 1.1)),
    # Value: the sign of the change in density.
    (Level("dense", 1.0, 1.0), Level("lucent", -1.0, -1.0)),
    # Value: the radius of a single lesion, in half image sides.
    (Level("small", 0.17, 0.2), Level("large", 0.34, 0.4)),
    # Value: the number of lesions.
    (Level("single", 1.0, 1.0), Level("multiple", 4.0, 4.0)),
)


def draw(look: Look, rng: np.random.Generator, size: int) -> Map:
    """Return the change in density, -1 to 1, that this class makes in one patient."""
    bump, sign, radius, number = look.values
    several = number > 1.0
    mask = np.zeros((size, size), np.float32)
    # Several lesions are smaller each, so that the changed area does not give the number away.
    each = radius * (0.6 if several else 1.0)
    turn = float(rng.uniform(0.0, 2.0 * np.pi))
    for index in range(round(number)):
        ring = float(rng.uniform(0.38, 0.55) if several else rng.uniform(0.0, 0.5))
        angle = turn + 2.0 * np.pi * (index + float(rng.uniform(-0.25, 0.25))) / number
        centre = (ring * float(np.cos(angle)), ring * float(np.sin(angle)))
        mask = np.maximum(
            mask, _mass(rng, size, look.words[0], bump=bump, radius=each, centre=centre)
        )
    inside = 1.0 + 0.15 * smooth_noise(rng, size, 10)
    return sign * mask * inside


def _mass(
    rng: np.random.Generator,
    size: int,
    form: str,
    *,
    bump: float,
    radius: float,
    centre: tuple[float, float],
) -> Map:
    """Return the soft mask of one mass."""
    x, y = grid(size)
    x, y = x - centre[0], y - centre[1]
    angle = np.arctan2(y, x) + float(rng.uniform(0.0, 2.0 * np.pi))
    radius = radius * float(rng.uniform(0.88, 1.12))
    squeeze = 1.0 + float(rng.uniform(0.0, 0.15)) * np.cos(2.0 * angle)
    if form == "spiculated":
        # Spikes unequal in length and spacing: equal ones look like a drawn star.
        spikes = 0.5 * int(rng.integers(8, 13))
        wobble, length = rng.uniform(0.0, 2.0 * np.pi, 2)
        uneven = 0.7 + 0.3 * np.sin(2.0 * angle + float(length))
        spike = np.abs(np.cos(spikes * angle + 0.7 * np.sin(2.0 * angle + float(wobble)))) ** 6
        outline = 0.66 + bump * uneven * spike
    else:
        lobes = int(rng.integers(3, 6))
        uneven = 0.7 + 0.3 * np.cos(2.0 * angle + float(rng.uniform(0.0, 2.0 * np.pi)))
        outline = 1.0 + bump * uneven * np.cos(lobes * angle)
    distance = np.sqrt(x * x + y * y)
    return soft_step(radius * squeeze * outline - distance, 0.07)
