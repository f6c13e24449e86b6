"""Shapes: structures told apart by outline, filling and density, whatever their place."""

from collections.abc import Callable

import numpy as np

from medshot.data.phantoms.fields import Map, grid, rotate, smooth_noise, soft_step
from medshot.data.phantoms.findings.looks import Axes, Level, Look

AXES: Axes = (
    (
        Level("oval"),
        Level("crescent"),
        Level("branched"),
        Level("wedge"),
        Level("spindle"),
        Level("winding"),
    ),
    (Level("solid"), Level("hollow")),
    # Value: the sign of the change in density.
    (Level("dense", 1.0, 1.0), Level("lucent", -1.0, -1.0)),
)

# Thickness of a hollow shape's wall, in half image sides.
_WALL = 0.06


def draw(look: Look, rng: np.random.Generator, size: int) -> Map:
    """Return the change in density, -1 to 1, that this class makes in one patient."""
    x, y = grid(size)
    # The outline is bent a little, so that no two patients have the very same one.
    x = x + 0.045 * smooth_noise(rng, size, 4) - float(rng.uniform(-0.2, 0.2))
    y = y + 0.045 * smooth_noise(rng, size, 4) - float(rng.uniform(-0.2, 0.2))
    x, y = rotate(x, y, float(rng.normal(0.0, 0.35)))
    scale = float(rng.uniform(0.4, 0.56))
    depth = scale * _OUTLINES[look.words[0]](x / scale, y / scale)
    if look.words[1] == "hollow":
        depth = 0.5 * _WALL - np.abs(depth - 0.5 * _WALL)
    return look.values[2] * soft_step(depth, 0.05)


def _oval(x: Map, y: Map) -> Map:
    return 0.7 * (1.0 - np.sqrt(x**2 + (y / 0.7) ** 2))


def _crescent(x: Map, y: Map) -> Map:
    outer = 1.0 - np.sqrt(x**2 + y**2)
    bite = np.sqrt((x - 0.5) ** 2 + y**2) - 0.8
    return np.minimum(outer, bite)


def _branched(x: Map, y: Map) -> Map:
    """Three arms from one point, as where a vessel divides."""
    arms = [_capsule(*rotate(x, y, turn)) for turn in (0.0, 2.1, -2.1)]
    return np.maximum(np.maximum(arms[0], arms[1]), arms[2])


def _capsule(x: Map, y: Map) -> Map:
    away = np.maximum(np.maximum(-x, x - 1.0), 0.0)
    return 0.29 - 0.07 * np.abs(x) - np.sqrt(away**2 + y**2)


def _wedge(x: Map, y: Map) -> Map:
    """A triangle with its tip inwards, as of an infarct."""
    sides = 0.42 * (x + 0.9) - 0.9 * np.abs(y)
    return np.minimum(sides, 0.8 - x)


def _spindle(x: Map, y: Map) -> Map:
    return 0.36 * (1.0 - x**2) - np.abs(y)


def _winding(x: Map, y: Map) -> Map:
    """A tube in a wave, as of a dilated duct."""
    height, beat = 0.42, 3.6
    # Dividing by the slope's length turns the height above the wave into a distance from it.
    slope = height * beat * np.cos(beat * x)
    away = np.abs(y - height * np.sin(beat * x)) / np.sqrt(1.0 + slope**2)
    return np.minimum(1.2 - np.abs(x), 0.23 - away)


_OUTLINES: dict[str, Callable[[Map, Map], Map]] = {
    "oval": _oval,
    "crescent": _crescent,
    "branched": _branched,
    "wedge": _wedge,
    "spindle": _spindle,
    "winding": _winding,
}
