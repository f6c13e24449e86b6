"""Brightness, contrast, colour: what the light, the window or the coil does."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Image = Float[ndarray, "d h w"]


def brighter(image: Image, strength: float, rng: np.random.Generator, *, sign: int) -> Image:
    """Everything brighter (`sign` 1) or darker (-1), by up to 0.3 of the range."""
    del rng
    return image + 0.3 * sign * strength


def contrast(image: Image, strength: float, rng: np.random.Generator, *, sign: int) -> Image:
    """Distances from the mean up to 2.5 times (`sign` 1) or down to 0.3 times as large (-1)."""
    del rng
    factor = 1 + 1.5 * strength if sign > 0 else 1 - 0.7 * strength
    mean = image.mean()
    return mean + factor * (image - mean)


def cast(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Each channel multiplied by a factor of its own; a grey image gets one factor."""
    factors = np.exp(0.5 * strength * rng.choice([-1.0, 1.0], (len(image), 1, 1)))
    return image * factors


def shading(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Brightness that goes from side to side, as of an uneven coil or a lamp at the edge."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = (np.linspace(-1, 1, n) for n in image.shape[1:])
    slope = np.cos(angle) * rows[:, None] + np.sin(angle) * columns[None]
    return image * np.exp(0.6 * strength * slope)
