"""Tubes: how trees grow, and which pixels they cover."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

STEP = 0.06  # in half image sides
STEPS = 45
THINNEST = 0.004
MOST = 30  # branches that grow at once


def grow(
    rng: np.random.Generator,
    roots: Float[ndarray, "r d"],
    aims: Float[ndarray, "r d"],
    *,
    radius: float,
    taper: float,
    branching: float,
    winding: float,
) -> tuple[Float[ndarray, "m 2 d"], Float[ndarray, "m"]]:
    """The pieces of a tree from each root (from where to where) and their radii.

    Each branch winds at random; at each step it divides with the odds `branching`, the thicker of
    the two being `taper` + 0.1 times as thick, the other at most `taper` times. It ends outside the
    picture, or where it is too thin to be seen.
    """
    ends, ways = roots.astype(float), _unit(aims)
    radii = np.full(len(roots), radius)
    pieces, widths = [], []
    for _ in range(STEPS):
        ways = _unit(ways + winding * rng.standard_normal(ways.shape))
        following = ends + STEP * ways
        pieces.append(np.stack([ends, following], 1))
        widths.append(radii)
        divide = rng.random(len(radii)) < branching
        aside = _unit(ways[divide] + 0.7 * rng.standard_normal((int(divide.sum()), roots.shape[1])))
        thinner = radii[divide] * rng.uniform(taper - 0.2, taper, int(divide.sum()))
        radii = np.concatenate([radii * np.where(divide, taper + 0.1, 0.995), thinner])
        ends = np.concatenate([following, following[divide]])
        ways = np.concatenate([ways, aside])
        alive = (np.abs(ends) < 1.1).all(1) & (radii > max(radius / 10, THINNEST))
        ends, ways, radii = (part[alive][:MOST] for part in (ends, ways, radii))
        if not len(radii):
            break
    return np.concatenate(pieces), np.concatenate(widths)


def stamp(
    pieces: Float[ndarray, "m 2 d"], radii: Float[ndarray, "m"], shape: tuple[int, ...]
) -> Bool[ndarray, "*s"]:
    """The pixels whose centre is within a piece's radius of it, or nearest to its middle line."""
    side = np.array(shape)
    thick = np.maximum(radii * 0.5 * min(shape), 0.55)  # pixels
    where = np.zeros(shape, bool)
    length = int(np.ceil(STEP * 0.5 * max(shape) / 0.7)) + 1
    along = np.linspace(0, 1, length, endpoint=False)[None, :, None]
    points = (pieces[:, :1] * (1 - along) + pieces[:, 1:] * along + 1) * 0.5 * side - 0.5
    for reach in np.unique(np.ceil(thick)).astype(int):
        chosen = np.ceil(thick) == reach
        near = points[chosen].reshape(-1, len(shape))
        within = np.repeat(thick[chosen], length)
        _discs(where, near, within, int(reach))
    return where


def _discs(where: ndarray, points: ndarray, radii: ndarray, reach: int) -> None:
    """Mark the pixels in discs around the points."""
    axes = where.ndim
    window = np.indices((2 * reach + 1,) * axes).reshape(axes, -1).T - reach
    middle = np.rint(points).astype(int)
    pixels = middle[:, None] + window[None]
    near = ((pixels - points[:, None]) ** 2).sum(2) <= radii[:, None] ** 2
    near &= ((pixels >= 0) & (pixels < np.array(where.shape))).all(2)
    where[tuple(pixels[near].T)] = True


def _unit(ways: Float[ndarray, "m d"]) -> Float[ndarray, "m d"]:
    return ways / (np.linalg.norm(ways, axis=1, keepdims=True) + 1e-9)
