"""Canvas of a phantom image or volume: tissue and instance of every pixel, boxes of instances."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt8
from numpy import ndarray
from scipy import ndimage

from medshot.phantoms.fields import noise

Window = tuple[slice, ...]


class Ellipsoid(NamedTuple):
    """Its centre, the matrix that makes it a unit ball, and its longest radius."""

    centre: Float32[ndarray, "d"]
    matrix: Float32[ndarray, "d d"]
    reach: float

    def scaled(self, by: float) -> "Ellipsoid":
        """The same shape at the same place, `by` times as large."""
        return Ellipsoid(self.centre, self.matrix / np.float32(by), self.reach * by)


class Canvas:
    """A grid that things are painted on, in two dimensions or three.

    Lengths are in half image sides: the grid spans -1 to 1 along every axis. `at` holds the
    coordinates of every pixel; bending them bends all that is painted afterwards.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.axes = shape, len(shape)
        self.at = coordinates(shape)
        self.slack = 0.0
        self.tissue: UInt8[ndarray, "*s"] = np.zeros(shape, np.uint8)
        self.thing: Int32[ndarray, "*s"] = np.zeros(shape, np.int32)
        self.shade: Float32[ndarray, "*s"] = np.zeros(shape, np.float32)
        self.parts: list[tuple[int, int]] = [(0, 0)]  # of each thing: its tissue, what it is in

    def bend(self, rng: np.random.Generator, amount: float, bumps: int) -> None:
        """Displace the coordinates by a smooth field of standard deviation `amount`."""
        push = np.stack([noise(rng, self.shape, bumps) for _ in self.shape])
        push = np.clip(push * amount, -2 * amount, 2 * amount)
        self.at, self.slack = self.at + push, self.slack + 2 * amount

    def inside(self, body: Ellipsoid) -> tuple[Window, Bool[ndarray, "..."]]:
        """The part of the grid that can hold the ellipsoid, and where in it the ellipsoid is."""
        centre, matrix, reach = body
        window = self._window(centre, reach + self.slack)
        local = self.at[(slice(None), *window)]
        away = local.reshape(self.axes, -1) - centre[:, None]
        ball = matrix @ away
        return window, ((ball * ball).sum(0) < 1.0).reshape(local.shape[1:])

    def paint(
        self,
        window: Window,
        where: Bool[ndarray, "..."],
        tissue: int,
        *,
        shade: float = 0.0,
        onto: Sequence[int] | None = None,
        within: int = 0,
        more_of: int = 0,
    ) -> int:
        """Paint a new thing, or more of one, where it may lie; its number, or 0 where nowhere.

        A thing can be `within` another: where both are marked as one class, both are one thing.
        """
        if onto is not None:
            where = where & np.isin(self.tissue[window], onto)
        if not where.any():
            return more_of
        if not more_of:
            self.parts.append((tissue, within))
        thing = more_of or len(self.parts) - 1
        self.tissue[window][where] = tissue
        self.thing[window][where] = thing
        self.shade[window][where] = shade
        return thing

    def all(self, where: Bool[ndarray, "..."], tissue: int) -> None:
        """Paint ground, which is no thing, over the whole grid."""
        self.tissue[where] = tissue
        self.thing[where] = 0

    def _window(self, centre: Float32[ndarray, "d"], reach: float) -> Window:
        found = []
        for middle, size in zip(centre.tolist(), self.shape, strict=True):
            low, high = ((middle + side * reach + 1.0) * 0.5 * size for side in (-1, 1))
            found.append(slice(max(0, int(low) - 1), max(0, min(size, int(high) + 2))))
        return tuple(found)


@lru_cache(maxsize=8)
def coordinates(shape: tuple[int, ...]) -> Float32[ndarray, "d *s"]:
    """The coordinates of the pixel centres, -1 to 1 along every axis (shared, read-only)."""
    lines = [(np.arange(size) + 0.5) * (2.0 / size) - 1.0 for size in shape]
    at = np.stack(np.meshgrid(*lines, indexing="ij")).astype(np.float32)
    at.setflags(write=False)
    return at


def ellipsoid(
    rng: np.random.Generator, centre: Sequence[float] | ndarray, radius: float, long: float = 1.0
) -> Ellipsoid:
    """An ellipsoid `long` times as long as wide, turned anyhow; `radius` keeps its size."""
    axes = len(centre)
    shrink = long ** (-1.0 / axes)
    radii = np.full(axes, radius * shrink)
    radii[0] = radius * shrink * long
    matrix = turn(rng, axes) / radii[:, None]
    return Ellipsoid(np.asarray(centre, np.float32), matrix.astype(np.float32), float(radii.max()))


def turn(rng: np.random.Generator, axes: int) -> ndarray:
    """A random rotation."""
    if axes == 2:
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, -sin], [sin, cos]])
    return np.linalg.qr(rng.standard_normal((axes, axes)))[0]


def marked_things(canvas: Canvas, label: UInt8[ndarray, "t"]) -> Int32[ndarray, "*s"]:
    """A number a marked thing, 0 elsewhere. Parts that are marked as one class are one thing."""
    numbers = np.zeros(len(canvas.parts), np.int32)
    for thing, (tissue, within) in enumerate(canvas.parts):
        if label[tissue]:
            same = within and label[tissue] == label[canvas.parts[within][0]]
            numbers[thing] = numbers[within] if same else thing
    return numbers[canvas.thing]


def tight_boxes(
    things: Int32[ndarray, "*s"], mask: UInt8[ndarray, "*s"], least: int
) -> Int64[ndarray, "m v"]:
    """The box of each thing of at least so many pixels, then its label; the last axis first."""
    rows = []
    sizes = np.bincount(things.ravel())
    for number, window in enumerate(ndimage.find_objects(things), 1):
        if window is None or sizes[number] < least:
            continue
        held = things[window] == number
        across = window[::-1]
        ends = [side.start for side in across] + [side.stop for side in across]
        rows.append([*ends, int(mask[window][held][0])])
    return np.array(rows, np.int64).reshape(len(rows), 2 * things.ndim + 1)
