"""Vessels: branching, tapering trees of tubes over a disk, with stray wires."""

from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from medshot.phantoms.fields import noise
from medshot.phantoms.masks.canvas import Canvas, coordinates, ellipsoid
from medshot.phantoms.masks.families.base import Family, Tissue, between

STEP = 0.06  # half image sides
STEPS = 45
THINNEST = 0.004
MOST = 30  # maximal number of growing branches


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
    """Segments (start, end) of a tree from each root, and their radii.

    Each branch is a random walk. At each step it divides with probability `branching`: the radius
    is multiplied by `taper` + 0.1 for the thicker child and by at most `taper` for the other. It
    ends outside the image, or when too thin to be visible.
    """
    ends, headings = roots.astype(float), _unit(aims)
    radii = np.full(len(roots), radius)
    pieces, widths = [], []
    for _ in range(STEPS):
        headings = _unit(headings + winding * rng.standard_normal(headings.shape))
        following = ends + STEP * headings
        pieces.append(np.stack([ends, following], 1))
        widths.append(radii)
        divide = rng.random(len(radii)) < branching
        turns = 0.7 * rng.standard_normal((int(divide.sum()), roots.shape[1]))
        aside = _unit(headings[divide] + turns)
        thinner = radii[divide] * rng.uniform(taper - 0.2, taper, int(divide.sum()))
        radii = np.concatenate([radii * np.where(divide, taper + 0.1, 0.995), thinner])
        ends = np.concatenate([following, following[divide]])
        headings = np.concatenate([headings, aside])
        alive = (np.abs(ends) < 1.1).all(1) & (radii > max(radius / 10, THINNEST))
        ends, headings, radii = (part[alive][:MOST] for part in (ends, headings, radii))
        if not len(radii):
            break
    return np.concatenate(pieces), np.concatenate(widths)


def stamp(
    pieces: Float[ndarray, "m 2 d"], radii: Float[ndarray, "m"], shape: tuple[int, ...]
) -> Bool[ndarray, "*s"]:
    """Rasterize: pixels within a segment's radius, at least one pixel wide."""
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
    """Rasterize disks around the points."""
    axes = where.ndim
    window = np.indices((2 * reach + 1,) * axes).reshape(axes, -1).T - reach
    middle = np.rint(points).astype(int)
    pixels = middle[:, None] + window[None]
    near = ((pixels - points[:, None]) ** 2).sum(2) <= radii[:, None] ** 2
    near &= ((pixels >= 0) & (pixels < np.array(where.shape))).all(2)
    where[tuple(pixels[near].T)] = True


def _unit(vectors: Float[ndarray, "m d"]) -> Float[ndarray, "m d"]:
    return vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)


GROUND, PATCH, DISC, SPOT, WIRE, VESSEL, OTHER, OUTSIDE = range(8)


class Vessels(Family):
    """One or several trees; two types of vessels look different."""

    styles: ClassVar = {"photo": 0.45, "grey": 0.4, "fluorescence": 0.15}

    def __init__(self, rng: np.random.Generator, classes: int) -> None:
        self.radius = between(rng, 0.015, 0.08)
        self.taper = float(rng.uniform(0.55, 0.8))
        self.branching = float(rng.uniform(0.05, 0.15))
        self.winding = float(rng.uniform(0.12, 0.4))
        self.central = bool(rng.random() < 0.5)
        self.roots = int(rng.integers(1, 8 if self.central and self.radius < 0.04 else 5))
        self.two = classes > 1 or rng.random() < 0.25
        self.disc = classes > 2 or rng.random() < 0.5
        self.patch = bool(rng.random() < 0.4)
        self.spots = int(rng.integers(1, 8)) if rng.random() < 0.5 else 0
        self.wires = int(rng.integers(1, 3)) if rng.random() < 0.25 else 0
        self.round = bool(rng.random() < 0.4)
        # spots and wires that look like vessels differ from them in shape only
        spot, wire = (VESSEL if rng.random() < 0.6 else None for _ in range(2))
        names = ("ground", "patch", "disc", "spot", "wire", "vessel", "other vessel")
        like = {SPOT: spot, WIRE: wire}
        inside = (Tissue(name, like.get(i)) for i, name in enumerate(names))
        self.tissues = (*inside, Tissue("outside", dark=True))
        vessels = (VESSEL, OTHER)
        self.apart = (
            *((ground, v) for ground in (GROUND, PATCH, DISC) for v in vessels),
            *((VESSEL, OTHER), (GROUND, DISC)),
        )

    def mark(self, rng: np.random.Generator, classes: int) -> list[tuple[int, ...]]:
        """Vessels of both types, or each type as a class, and the disk as the third."""
        if classes == 1:
            apart = self.two and rng.random() < 0.3
            return [(VESSEL,)] if apart else [(VESSEL, OTHER)]
        return [(VESSEL,), (OTHER,), (DISC,)][:classes]

    def draw(self, canvas: Canvas, rng: np.random.Generator) -> None:
        """Background, disk and spots, then wires, then trees from one root or the border."""
        if self.patch:
            canvas.all(noise(rng, canvas.shape, 4) > 0.7, PATCH)
        canvas.bend(rng, 0.03, 4)
        root = rng.uniform(-0.7, 0.7, canvas.axes)
        if self.disc:
            disc = ellipsoid(rng, root, float(rng.uniform(0.1, 0.2)), 1.15)
            canvas.paint(*canvas.inside(disc), DISC)
        for _ in range(self.spots):
            spot = ellipsoid(rng, rng.uniform(-0.8, 0.8, canvas.axes), between(rng, 0.02, 0.07))
            canvas.paint(*canvas.inside(spot), SPOT)
        if self.wires:
            self._trees(canvas, rng, WIRE, None)
        for kind in (VESSEL, OTHER) if self.two else (VESSEL,):
            self._trees(canvas, rng, kind, root if self.central else None)
        if self.round:
            canvas.all((coordinates(canvas.shape) ** 2).sum(0) > 0.95**2, OUTSIDE)

    def _trees(
        self,
        canvas: Canvas,
        rng: np.random.Generator,
        tissue: int,
        root: Float[ndarray, "d"] | None,
    ) -> None:
        """Paint all trees of one tissue as one object: they cross and cannot be counted."""
        wire = tissue == WIRE
        count = self.wires if wire else -(-self.roots // (2 if self.two else 1))
        aims = rng.standard_normal((count, canvas.axes))
        roots = np.broadcast_to(np.zeros(canvas.axes) if root is None else root, aims.shape)
        if root is None:  # from the border toward the center
            roots = aims / np.linalg.norm(aims, axis=1, keepdims=True)
            aims = rng.uniform(-0.3, 0.3, aims.shape) - roots
        points, radii = grow(
            rng,
            roots,
            aims,
            radius=self.radius * (0.6 if wire else float(rng.uniform(0.8, 1.25))),
            taper=self.taper,
            branching=0.0 if wire else self.branching,
            winding=0.05 if wire else self.winding,
        )
        everywhere = tuple(slice(None) for _ in canvas.shape)
        canvas.paint(everywhere, stamp(points, radii, canvas.shape), tissue)
