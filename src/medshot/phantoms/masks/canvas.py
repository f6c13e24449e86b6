"""Canvas of a phantom image or volume: tissue and instance of every pixel, and boxes."""

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
    """Center, matrix that maps the ellipsoid to the unit ball, and longest radius."""

    centre: Float32[ndarray, "d"]
    matrix: Float32[ndarray, "d d"]
    reach: float

    def scaled(self, by: float) -> "Ellipsoid":
        """The same shape at the same place, scaled by `by`."""
        return Ellipsoid(self.centre, self.matrix / np.float32(by), self.reach * by)


class Canvas:
    """A 2D or 3D grid to paint objects on.

    Lengths are in half image sides: the grid spans -1 to 1 along every axis. `at` holds the
    coordinates of every pixel; deforming them deforms everything painted afterwards.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.axes = shape, len(shape)
        self.at = coordinates(shape)
        self.slack = 0.0
        self.tissue: UInt8[ndarray, "*s"] = np.zeros(shape, np.uint8)
        self.thing: Int32[ndarray, "*s"] = np.zeros(shape, np.int32)
        self.shade: Float32[ndarray, "*s"] = np.zeros(shape, np.float32)
        self.parts: list[tuple[int, int]] = [(0, 0)]  # per object: tissue, containing object

    def bend(self, rng: np.random.Generator, amount: float, bumps: int) -> None:
        """Displace the coordinates by a smooth field of standard deviation `amount`."""
        push = np.stack([noise(rng, self.shape, bumps) for _ in self.shape])
        push = np.clip(push * amount, -2 * amount, 2 * amount)
        self.at, self.slack = self.at + push, self.slack + 2 * amount

    def inside(self, body: Ellipsoid) -> tuple[Window, Bool[ndarray, "..."]]:
        """Bounding window of the ellipsoid, and its mask in the window."""
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
        """Paint a new object, or extend `more_of`, on the tissues `onto`.

        Returns its number, or `more_of` if there is no room. An object can be `within` another: if
        both are labeled as the same class, they count as one.
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
        """Paint background tissue, which is no object, over the whole grid."""
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
    """Coordinates of the pixel centers, -1 to 1 along every axis (shared, read-only)."""
    lines = [(np.arange(size) + 0.5) * (2.0 / size) - 1.0 for size in shape]
    at = np.stack(np.meshgrid(*lines, indexing="ij")).astype(np.float32)
    at.setflags(write=False)
    return at


def ellipsoid(
    rng: np.random.Generator, centre: Sequence[float] | ndarray, radius: float, long: float = 1.0
) -> Ellipsoid:
    """A randomly oriented ellipsoid with aspect ratio `long` and the volume of `radius`."""
    axes = len(centre)
    shrink = long ** (-1.0 / axes)
    radii = np.full(axes, radius * shrink)
    radii[0] = radius * shrink * long
    matrix = turn(rng, axes) / radii[:, None]
    return Ellipsoid(np.asarray(centre, np.float32), matrix.astype(np.float32), float(radii.max()))


def turn(rng: np.random.Generator, axes: int) -> ndarray:
    """A random rotation matrix."""
    if axes == 2:
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, -sin], [sin, cos]])
    return np.linalg.qr(rng.standard_normal((axes, axes)))[0]


def marked_things(canvas: Canvas, label: UInt8[ndarray, "t"]) -> Int32[ndarray, "*s"]:
    """Instance map: a number per labeled object, 0 elsewhere. Nested parts of one class merge."""
    numbers = np.zeros(len(canvas.parts), np.int32)
    for thing, (tissue, within) in enumerate(canvas.parts):
        if label[tissue]:
            same = within and label[tissue] == label[canvas.parts[within][0]]
            numbers[thing] = numbers[within] if same else thing
    return numbers[canvas.thing]


def tight_boxes(
    things: Int32[ndarray, "*s"], mask: UInt8[ndarray, "*s"], least: int
) -> Int64[ndarray, "m v"]:
    """Bounding box and label of each object of at least `least` pixels, last axis first."""
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
