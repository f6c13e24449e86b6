"""Findings that define the classes of a phantom task: lesions, textures, shapes."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from medshot.phantoms.fields import Map, grid, rotate, smooth_noise, soft_step


@dataclass(frozen=True)
class Level:
    """A named level of an attribute; a class draws its value between `low` and `high`."""

    word: str
    low: float = 0.0
    high: float = 0.0


Axes = tuple[tuple[Level, ...], ...]


@dataclass(frozen=True)
class Appearance:
    """Appearance of one class: a word and a value for each attribute."""

    words: tuple[str, ...]
    values: tuple[float, ...]


def most_classes(axes: Axes) -> int:
    """Number of different classes that the attributes allow."""
    return int(np.prod([len(axis) for axis in axes]))


def draw_appearances(axes: Axes, way: int, rng: np.random.Generator) -> list[Appearance]:
    """Draw `way` distinguishable classes.

    Levels of an attribute are separated by gaps, and two classes differ in at least two
    attributes, or in one when no such class is left.
    """
    codes = list(product(*(range(len(axis)) for axis in axes)))
    queue = [codes[i] for i in rng.permutation(len(codes))]
    chosen: list[tuple[int, ...]] = []
    for apart in (2, 1):
        for code in queue:
            if all(_distance(code, other) >= apart for other in chosen):
                chosen.append(code)
    # draws do not depend on `way`: class 0 stays the same in a wider task
    return [_look(axes, code, rng.random(len(axes))) for code in chosen[:way]]


def short_names(looks: list[Appearance]) -> tuple[str, ...]:
    """Shortest distinct class names, from as few attributes as possible."""
    count = len(looks[0].words)
    for length in range(1, count + 1):
        for axes in combinations(range(count), length):
            names = [" ".join(look.words[axis] for axis in axes) for look in looks]
            if len(set(names)) == len(names):
                return tuple(names)
    raise AssertionError("two classes have the same look")


def _distance(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return sum(left != right for left, right in zip(a, b, strict=True))


def _look(axes: Axes, code: tuple[int, ...], where: np.ndarray) -> Appearance:
    levels = [axis[index] for axis, index in zip(axes, code, strict=True)]
    values = [
        level.low + (level.high - level.low) * float(t)
        for level, t in zip(levels, where, strict=True)
    ]
    return Appearance(tuple(level.word for level in levels), tuple(values))


LESION_AXES: Axes = (
    # value: deviation of the outline from a circle, relative to the radius
    (Level("round", 0.0, 0.03), Level("lobulated", 0.2, 0.27), Level("spiculated", 0.8, 1.1)),
    # Value: the sign of the change in density.
    (Level("dense", 1.0, 1.0), Level("lucent", -1.0, -1.0)),
    # value: radius of a single lesion, in half image sides
    (Level("small", 0.17, 0.2), Level("large", 0.34, 0.4)),
    # value: number of lesions
    (Level("single", 1.0, 1.0), Level("multiple", 4.0, 4.0)),
)


def draw_lesion(look: Appearance, rng: np.random.Generator, size: int) -> Map:
    """Density change, -1 to 1, of this class in one patient."""
    bump, sign, radius, number = look.values
    several = number > 1.0
    mask = np.zeros((size, size), np.float32)
    # multiple lesions are smaller, so that the total area does not reveal their number
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
    """Soft mask of one mass."""
    x, y = grid(size)
    x, y = x - centre[0], y - centre[1]
    angle = np.arctan2(y, x) + float(rng.uniform(0.0, 2.0 * np.pi))
    radius = radius * float(rng.uniform(0.88, 1.12))
    squeeze = 1.0 + float(rng.uniform(0.0, 0.15)) * np.cos(2.0 * angle)
    if form == "spiculated":
        # uneven length and spacing: a regular star would look artificial
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


TEXTURE_AXES: Axes = (
    (Level("cloudy"), Level("nodular"), Level("reticular")),
    # value: bumps across the image
    (Level("fine", 19.0, 23.0), Level("coarse", 10.0, 12.0)),
    # value: elongation of the grain along its direction
    (Level("even", 1.0, 1.0), Level("level", 2.4, 2.8), Level("upright", 2.4, 2.8)),
    # value: mean change, relative to the amplitude of the grain
    (Level("dense", 0.35, 0.45), Level("lucent", -0.45, -0.35)),
)


def draw_texture(look: Appearance, rng: np.random.Generator, size: int) -> Map:
    """Density change, about -1 to 1, inside a region of one patient's body."""
    _, bumps, stretch, mean = look.values
    across, along = round(bumps), max(2, round(bumps / stretch))
    field = smooth_noise(rng, size, across, along)
    if look.words[2] == "upright":
        field = field.T
    return (_pattern(look.words[0], field) + mean) * _region(rng, size)


def _pattern(kind: str, field: Map) -> Map:
    """Map unit-variance noise to the pattern, with a mean near zero."""
    if kind == "nodular":
        return 1.5 * soft_step(field - 0.75, 0.6) - 0.35
    if kind == "reticular":
        return 1.4 * soft_step(0.3 - np.abs(field), 0.35) - 0.35
    return np.clip(0.6 * field, -1.0, 1.0)


def _region(rng: np.random.Generator, size: int) -> Map:
    """Soft mask of a large, irregular region whose place varies between patients."""
    x, y = grid(size)
    x, y = rotate(x, y, float(rng.uniform(0.0, np.pi)))
    x0, y0 = rng.uniform(-0.2, 0.2, 2)
    rx, ry = rng.uniform(0.5, 0.75, 2)
    rho = np.sqrt(((x - float(x0)) / float(rx)) ** 2 + ((y - float(y0)) / float(ry)) ** 2)
    return soft_step(1.0 - rho + 0.1 * smooth_noise(rng, size, 4), 0.3)


SHAPE_AXES: Axes = (
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

# wall thickness of a hollow shape, in half image sides
_WALL = 0.06


def draw_shape(look: Appearance, rng: np.random.Generator, size: int) -> Map:
    """Density change, -1 to 1, of this class in one patient."""
    x, y = grid(size)
    # deform the outline slightly, differently for each patient
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
    """Three arms from one point, like a branching vessel."""
    arms = [_capsule(*rotate(x, y, turn)) for turn in (0.0, 2.1, -2.1)]
    return np.maximum(np.maximum(arms[0], arms[1]), arms[2])


def _capsule(x: Map, y: Map) -> Map:
    away = np.maximum(np.maximum(-x, x - 1.0), 0.0)
    return 0.29 - 0.07 * np.abs(x) - np.sqrt(away**2 + y**2)


def _wedge(x: Map, y: Map) -> Map:
    """A triangle pointing inward, like an infarct."""
    sides = 0.42 * (x + 0.9) - 0.9 * np.abs(y)
    return np.minimum(sides, 0.8 - x)


def _spindle(x: Map, y: Map) -> Map:
    return 0.36 * (1.0 - x**2) - np.abs(y)


def _winding(x: Map, y: Map) -> Map:
    """A sinusoidal tube, like a dilated duct."""
    height, beat = 0.42, 3.6
    # dividing by the gradient norm turns height above the curve into distance from it
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


@dataclass(frozen=True)
class Finding:
    """A type of finding: the attributes that distinguish classes, and a function to draw one."""

    axes: Axes
    draw: Callable[[Appearance, np.random.Generator, int], Map]


KINDS = {
    "lesion": Finding(LESION_AXES, draw_lesion),
    "texture": Finding(TEXTURE_AXES, draw_texture),
    "shape": Finding(SHAPE_AXES, draw_shape),
}
FINDINGS: tuple[str, ...] = tuple(KINDS)

__all__ = [
    "FINDINGS",
    "KINDS",
    "Appearance",
    "Axes",
    "Finding",
    "Level",
    "draw_appearances",
    "most_classes",
    "short_names",
]
