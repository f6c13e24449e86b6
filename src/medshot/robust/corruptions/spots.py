"""Single pixels that are wrong."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

Image = Float[ndarray, "d h w"]
MOST = 0.15  # of the pixels, at strength 1


def impulses(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Some pixels black and some white, as of dead elements of a detector."""
    wrong = rng.random(image.shape[1:]) < MOST * strength
    value = rng.integers(0, 2, image.shape[1:])
    return np.where(wrong, value, image)
