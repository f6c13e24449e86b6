"""Noise: drawn anew for every pixel, or single pixels that are wrong."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Image = Float[ndarray, "d h w"]
LARGEST = 0.2  # deviation at strength 1, of the range of an image (of white, where it depends)


def gaussian(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """The same everywhere, as electronics make it."""
    return image + LARGEST * strength * rng.normal(size=image.shape)


def poisson(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Of counted photons: the variance grows with the brightness."""
    photons = 1 / (LARGEST * strength) ** 2  # at white
    return rng.poisson(photons * image) / photons


def speckle(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """In proportion to the brightness, as in ultrasound and optical coherence tomography."""
    return image * (1 + 2 * LARGEST * strength * rng.normal(size=image.shape))


def rician(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Of the magnitude of a complex signal, as in magnetic resonance: dark becomes brighter.

    Source: Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618.
    """
    real, imaginary = LARGEST * strength * rng.normal(size=(2, *image.shape))
    return np.hypot(image + real, imaginary)


KINDS = {"gaussian": gaussian, "poisson": poisson, "speckle": speckle, "rician": rician}


MOST = 0.15  # of the pixels, at strength 1


def impulses(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Some pixels black and some white, as of dead elements of a detector."""
    wrong = rng.random(image.shape[1:]) < MOST * strength
    value = rng.integers(0, 2, image.shape[1:])
    return np.where(wrong, value, image)
