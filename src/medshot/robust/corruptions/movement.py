"""Blur along one line: the patient or the camera moved."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import shift

Image = Float[ndarray, "d h w"]
PLACES = 9  # along the line
FARTHEST = 0.15  # of the shorter side, at strength 1


def motion(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """The mean of the image at several places along a line in a random direction."""
    angle = rng.uniform(0, np.pi)
    length = FARTHEST * strength * min(image.shape[1:])
    line = np.linspace(-length / 2, length / 2, PLACES)
    moved = [_moved(image, place * np.sin(angle), place * np.cos(angle)) for place in line]
    return np.mean(moved, axis=0)


def _moved(image: Image, down: float, right: float) -> Image:
    """Moved by parts of a pixel; what comes in at the border is its nearest value."""
    return shift(image, (0.0, down, right), order=1, mode="nearest")
