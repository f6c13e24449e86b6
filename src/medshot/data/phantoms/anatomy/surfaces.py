"""What a camera sees: a patch of skin and a stained tissue section."""

import numpy as np
from scipy import ndimage

from medshot.data.phantoms.anatomy.body import Body, patient_grid
from medshot.data.phantoms.fields import Map, grid, rotate, smooth_noise, soft_step


def skin(rng: np.random.Generator, size: int) -> Body:
    """Return the pigment of a patch of skin, uneven and with hairs."""
    canvas = 0.24 + 0.05 * smooth_noise(rng, size, 2) + 0.02 * smooth_noise(rng, size, 12)
    for _ in range(int(rng.integers(0, 5))):
        canvas += _hair(rng, size) * (0.95 - canvas)
    return Body(canvas, np.ones_like(canvas))


def _hair(rng: np.random.Generator, size: int) -> Map:
    """Return the mask of one bent hair across the picture."""
    x, y = rotate(*grid(size), float(rng.uniform(0.0, np.pi)))
    offset, bow = float(rng.uniform(-0.9, 0.9)), float(rng.normal(0.0, 0.2))
    width = float(rng.uniform(0.015, 0.03))
    return 0.8 * soft_step(width - np.abs(y - offset - bow * x**2), 0.03)


def section(rng: np.random.Generator, size: int) -> Body:
    """Return a tissue section by its uptake of stain: pale lumens, fibres and dark nuclei."""
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
    """Return the mask of `count` scattered nuclei of two sizes."""
    mask = np.zeros((size, size), np.float32)
    for share, radius in ((0.7, 0.012), (0.3, 0.018)):
        seeds = np.zeros((size, size), np.float32)
        spots = (rng.random((int(share * count), 2)) * size).astype(np.intp)
        seeds[spots[:, 0], spots[:, 1]] = 1.0
        sigma = radius * size
        ndimage.gaussian_filter(seeds, sigma, output=seeds, mode="wrap", truncate=3.0)
        # A single impulse peaks at 1 / (2 pi sigma^2); scaling by it makes round, filled spots.
        mask = np.maximum(mask, np.clip(seeds * (2.0 * np.pi * sigma**2) * 1.6 - 0.4, 0.0, 1.0))
    return mask
