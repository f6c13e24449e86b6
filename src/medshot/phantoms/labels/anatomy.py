"""Backgrounds of phantoms: CT and MR sections, radiographs, ultrasound layers, skin, histology."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from medshot.phantoms.fields import Map, ellipse, grid, rotate, smooth_noise, soft_step


class Body(NamedTuple):
    """One patient before any finding.

    `tissue` is what the modality measures (density, signal, echo strength, pigment or stain), in 0
    to 1; `site` is 1 where a finding may lie and 0 elsewhere.
    """

    tissue: Map
    site: Map


def patient_grid(rng: np.random.Generator, size: int, bend: float = 0.05) -> tuple[Map, Map]:
    """Body coordinates of every pixel for one patient.

    Anatomy is drawn analytically in these coordinates, which deforms it without resampling.
    `bend` is the standard deviation of the local displacement, in half image sides.
    """
    x, y = grid(size)
    x, y = rotate(x, y, float(rng.normal(0.0, 0.12)))
    scale = rng.uniform(0.9, 1.2, 2)
    shift = rng.normal(0.0, 0.07, 2)
    # mirroring covers both sides of the body and flipped exports
    side = float(rng.choice([-1.0, 1.0]))
    bent_x = side * float(scale[0]) * x + float(shift[0]) + bend * smooth_noise(rng, size, 3)
    bent_y = float(scale[1]) * y + float(shift[1]) + bend * smooth_noise(rng, size, 3)
    return bent_x, bent_y


def chest(rng: np.random.Generator, size: int) -> Body:
    """A frontal chest as summed attenuation: lungs, heart, spine, ribs, diaphragm."""
    x, y = patient_grid(rng, size, bend=0.03)
    body = ellipse(x, y, (0.0, 0.7), (1.2, 1.75), edge=0.15)
    lungs = np.maximum(
        ellipse(x, y, (-0.45, -0.02), (0.36, 0.76), edge=0.12),
        ellipse(x, y, (0.47, -0.02), (0.34, 0.74), edge=0.12),
    )
    dome = soft_step(y - 0.5 + 0.35 * (np.abs(x) - 0.42) ** 2, 0.12)
    heart = ellipse(x, y, (0.14, 0.2), (float(rng.uniform(0.24, 0.36)), 0.34), edge=0.12)
    spine = soft_step(0.13 - np.abs(x), 0.12)
    air = lungs * (1.0 - dome)
    canvas = body * (0.58 + 0.06 * smooth_noise(rng, size, 3))
    canvas -= float(rng.uniform(0.28, 0.36)) * air * (1.0 - 0.9 * heart)
    canvas += 0.12 * spine * body + 0.06 * heart
    canvas += float(rng.uniform(0.07, 0.13)) * _ribs(x, y, rng) * body
    canvas += 0.025 * smooth_noise(rng, size, 14) * air
    return Body(canvas, body)


def _ribs(x: Map, y: Map, rng: np.random.Generator) -> Map:
    """Bands of ribs, descending from the spine."""
    beat = float(rng.uniform(11.0, 15.0))
    phase = float(rng.uniform(0.0, 2.0 * np.pi))
    bands = np.sin(beat * (y - 0.55 * np.abs(x) + 0.5 * x**2) + phase)
    return soft_step(bands - 0.45, 0.5) * soft_step(np.abs(x) - 0.12, 0.1)


def layers(rng: np.random.Generator, size: int) -> Body:
    """Tissue layers by echo strength: skin, fat, fascia, muscle, an organ."""
    x, y = patient_grid(rng, size, bend=0.06)
    depth = 0.5 * (y + 1.0) + 0.05 * np.sin(float(rng.uniform(1.0, 3.0)) * x)
    count = int(rng.integers(4, 7))
    edges = np.sort(rng.uniform(0.08, 0.85, count))
    echo = rng.uniform(0.35, 0.65, count + 1)
    canvas = np.full_like(depth, 0.85)
    for top, value in zip([0.04, *edges], echo, strict=True):
        canvas += soft_step(depth - float(top), 0.03) * (float(value) - canvas)
        # fascia reflects at the interface: a thin bright line
        canvas += 0.18 * np.exp(-(((depth - float(top)) / 0.012) ** 2))
    vessel = ellipse(x, y, (float(rng.uniform(-0.6, 0.6)), 0.1), (0.13, 0.09), edge=0.04)
    canvas += vessel * (0.15 - canvas) * float(rng.random() < 0.5)
    canvas += 0.04 * smooth_noise(rng, size, 8, 3)
    return Body(canvas, np.ones_like(canvas))


class Organ(NamedTuple):
    """An ellipse of tissue: center and radii in half image sides, density in 0 to 1."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    density: float


TORSO = (
    Organ((0.00, 0.00), (0.94, 0.74), 0.26),  # skin and fat
    Organ((0.00, 0.00), (0.86, 0.65), 0.47),  # muscle wall
    Organ((0.00, 0.02), (0.76, 0.56), 0.36),  # visceral fat
    Organ((-0.36, -0.08), (0.38, 0.40), 0.56),  # liver
    Organ((0.52, 0.02), (0.18, 0.26), 0.55),  # spleen
    Organ((0.26, -0.28), (0.24, 0.16), 0.48),  # stomach
    Organ((0.30, -0.33), (0.11, 0.07), 0.08),  # gas
    Organ((-0.36, 0.32), (0.14, 0.13), 0.62),  # kidney
    Organ((0.36, 0.32), (0.14, 0.13), 0.62),  # kidney
    Organ((0.00, 0.40), (0.16, 0.14), 0.92),  # vertebra
    Organ((0.04, 0.18), (0.07, 0.07), 0.68),  # aorta
)

HEAD = (
    Organ((0.00, 0.00), (0.84, 0.97), 0.78),  # scalp fat
    Organ((0.00, 0.00), (0.78, 0.91), 0.10),  # skull
    Organ((0.00, 0.00), (0.73, 0.86), 0.22),  # fluid
)


def _paint(canvas: Map, x: Map, y: Map, organ: Organ, rng: np.random.Generator) -> None:
    """Paint one organ over the canvas, with variation between patients."""
    move = rng.normal(0.0, 0.025, 2)
    grow = rng.uniform(0.88, 1.12, 2)
    centre = (organ.centre[0] + float(move[0]), organ.centre[1] + float(move[1]))
    radii = (organ.radii[0] * float(grow[0]), organ.radii[1] * float(grow[1]))
    density = organ.density + float(rng.normal(0.0, 0.035))
    canvas += ellipse(x, y, centre, radii) * (density - canvas)


def torso(rng: np.random.Generator, size: int) -> Body:
    """An axial torso slice; findings lie within the muscle wall."""
    x, y = patient_grid(rng, size)
    canvas = np.zeros_like(x)
    _paint(canvas, x, y, TORSO[0], rng)
    site = ellipse(x, y, TORSO[1].centre, TORSO[1].radii, edge=0.1)
    for organ in TORSO[1:]:
        _paint(canvas, x, y, organ, rng)
    canvas += 0.03 * smooth_noise(rng, size, 9) * site
    return Body(canvas, site)


def head(rng: np.random.Generator, size: int) -> Body:
    """An axial head slice: cortex, white matter, ventricles; findings lie in the brain."""
    x, y = patient_grid(rng, size, bend=0.03)
    canvas = np.zeros_like(x)
    for organ in HEAD:
        # shells vary by the pose only: varied one by one, the skull would cross the scalp
        canvas += ellipse(x, y, organ.centre, organ.radii) * (organ.density - canvas)
    folds = smooth_noise(rng, size, 11)
    rho = np.sqrt((x / 0.71) ** 2 + (y / 0.84) ** 2)
    brain = soft_step(1.0 - rho + 0.03 * np.minimum(folds, 0.5), 0.06)
    white = soft_step(0.76 - rho + 0.07 * folds, 0.08)
    canvas += brain * (float(rng.normal(0.47, 0.03)) - canvas)
    canvas += white * (float(rng.normal(0.62, 0.03)) - canvas)
    wide = float(rng.uniform(0.06, 0.12))
    for side in (-1.0, 1.0):
        ventricle = Organ((side * 0.13, 0.0), (wide, 0.26), 0.18)
        _paint(canvas, x + side * 0.25 * y**2, y, ventricle, rng)
    return Body(canvas, brain)


def skin(rng: np.random.Generator, size: int) -> Body:
    """Pigment of a patch of skin, uneven and with hairs."""
    canvas = 0.24 + 0.05 * smooth_noise(rng, size, 2) + 0.02 * smooth_noise(rng, size, 12)
    for _ in range(int(rng.integers(0, 5))):
        canvas += _hair(rng, size) * (0.95 - canvas)
    return Body(canvas, np.ones_like(canvas))


def _hair(rng: np.random.Generator, size: int) -> Map:
    """Mask of one curved hair across the image."""
    x, y = rotate(*grid(size), float(rng.uniform(0.0, np.pi)))
    offset, bow = float(rng.uniform(-0.9, 0.9)), float(rng.normal(0.0, 0.2))
    width = float(rng.uniform(0.015, 0.03))
    return 0.8 * soft_step(width - np.abs(y - offset - bow * x**2), 0.03)


def section(rng: np.random.Generator, size: int) -> Body:
    """Stain uptake of a tissue section: pale lumens, fibers and dark nuclei."""
    x, y = patient_grid(rng, size, bend=0.1)
    angle = float(rng.uniform(0.0, np.pi))
    along, _ = rotate(x, y, angle)
    wave = np.sin(float(rng.uniform(14.0, 22.0)) * along + 1.5 * smooth_noise(rng, size, 4))
    canvas = 0.34 + 0.05 * wave + 0.05 * smooth_noise(rng, size, 3)
    lumen = soft_step(smooth_noise(rng, size, 4) - float(rng.uniform(1.3, 2.2)), 0.15)
    canvas += lumen * (0.04 - canvas)
    canvas += (1.0 - lumen) * nuclei(rng, size, int(rng.integers(50, 130))) * (0.8 - canvas)
    return Body(canvas, np.ones_like(canvas))


def nuclei(rng: np.random.Generator, size: int, count: int) -> Map:
    """Mask of `count` scattered nuclei of two sizes."""
    mask = np.zeros((size, size), np.float32)
    for share, radius in ((0.7, 0.012), (0.3, 0.018)):
        seeds = np.zeros((size, size), np.float32)
        spots = (rng.random((int(share * count), 2)) * size).astype(np.intp)
        seeds[spots[:, 0], spots[:, 1]] = 1.0
        sigma = radius * size
        ndimage.gaussian_filter(seeds, sigma, output=seeds, mode="wrap", truncate=3.0)
        # a blurred impulse peaks at 1 / (2 pi sigma^2); dividing by that gives round, filled spots
        mask = np.maximum(mask, np.clip(seeds * (2.0 * np.pi * sigma**2) * 1.6 - 0.4, 0.0, 1.0))
    return mask


__all__ = ["Body", "chest", "head", "layers", "section", "skin", "torso"]
