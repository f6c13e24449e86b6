"""Coordinates, soft outlines, smooth random fields and independent random streams.

Lengths are in half image sides: the image spans -1 to 1 both ways, x to the right and y down,
so that a phantom looks the same at every resolution. Streams are addressed by integers, so that
nothing depends on drawing order.
"""

from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating]
"""One value per pixel, (size, size), normally float32."""


@lru_cache(maxsize=8)
def grid(size: int) -> tuple[Map, Map]:
    """x and y coordinates of the pixel centers (read-only, shared)."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2.0 / size) - 1.0).astype(np.float32)
    x, y = np.meshgrid(line, line)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


def rotate(x: Map, y: Map, angle: float) -> tuple[Map, Map]:
    """Coordinates in axes rotated by `angle` radians."""
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x


def soft_step(depth: Map, width: float) -> Map:
    """1 where `depth` is well above zero, 0 well below, with a ramp of `width` between."""
    return np.clip(depth * (1.0 / width) + 0.5, 0.0, 1.0)


def ellipse(
    x: Map, y: Map, centre: tuple[float, float], radii: tuple[float, float], edge: float = 0.06
) -> Map:
    """Soft mask of an axis-aligned ellipse."""
    rho = np.sqrt(((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2)
    return soft_step((1.0 - rho) * min(radii), edge)


@lru_cache(maxsize=128)
def bump_matrix(size: int, cells: int) -> Map:
    """The (size, cells + 2) matrix that interpolates coarse values with Gaussian bumps."""
    pixels = (np.arange(size) + 0.5) / size * cells
    knots = np.arange(cells + 2) - 0.5
    bumps = np.exp(-0.5 * ((pixels[:, None] - knots[None, :]) / 0.55) ** 2)
    # unit sum of squares, so that independent standard normals keep unit variance at every pixel
    bumps /= np.sqrt((bumps**2).sum(axis=1, keepdims=True))
    return bumps.astype(np.float32)


def smooth_noise(
    rng: np.random.Generator, size: int, cells: int, cells_across: int | None = None
) -> Map:
    """Zero-mean, unit-variance smooth noise with `cells` bumps per side.

    `cells_across` sets another number of bumps along x; fewer of them give horizontal streaks.
    """
    across = cells if cells_across is None else cells_across
    coarse = rng.standard_normal((cells + 2, across + 2), dtype=np.float32)
    return bump_matrix(size, cells) @ coarse @ bump_matrix(size, across).T


def noise(rng: np.random.Generator, shape: tuple[int, ...], bumps: int) -> NDArray[np.float32]:
    """Smooth noise as above on a grid of any dimension, with `bumps` bumps along each axis."""
    values = rng.standard_normal((bumps + 2,) * len(shape), dtype=np.float32)
    for size in shape:  # each iteration moves the first axis to the end
        values = np.tensordot(values, bump_matrix(size, bumps), axes=(0, 1))
    return values


class Purpose(IntEnum):
    """Purpose of a random stream; the numbers determine every image, so they never change."""

    TASK = 1
    CLASSES = 2
    ANATOMY = 3
    FINDING = 4
    SCANNER = 5
    MOTION = 6
    NOISE = 7
    SCENE = 8
    LAYOUT = 9
    LIGHT = 10
    GRAIN = 11
    CAMERA = 12


def stream(purpose: Purpose, *address: int) -> np.random.Generator:
    """The generator for this purpose and address, the same on every machine."""
    return np.random.default_rng([int(purpose), *address])
