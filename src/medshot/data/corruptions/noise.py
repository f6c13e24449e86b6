"""Noise: independent per pixel, or impulses."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Image = Float[ndarray, "d h w"]
LARGEST = 0.2  # std at strength 1, relative to the range (at white, if signal-dependent)


def gaussian(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Additive Gaussian noise, as of electronics."""
    return image + LARGEST * strength * rng.normal(size=image.shape)


def poisson(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Photon noise: the variance is proportional to the brightness."""
    photons = 1 / (LARGEST * strength) ** 2  # at white
    return rng.poisson(photons * image) / photons


def speckle(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Multiplicative noise, as in ultrasound and optical coherence tomography."""
    return image * (1 + 2 * LARGEST * strength * rng.normal(size=image.shape))


def rician(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Magnitude of a complex signal, as in MR: brightens dark regions.

    Source: Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618.
    """
    real, imaginary = LARGEST * strength * rng.normal(size=(2, *image.shape))
    return np.hypot(image + real, imaginary)


KINDS = {"gaussian": gaussian, "poisson": poisson, "speckle": speckle, "rician": rician}


MOST = 0.15  # fraction of the pixels at strength 1


def impulses(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Salt-and-pepper noise, as of dead detector elements."""
    wrong = rng.random(image.shape[1:]) < MOST * strength
    value = rng.integers(0, 2, image.shape[1:])
    return np.where(wrong, value, image)
