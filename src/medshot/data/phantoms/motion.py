"""A patient never lies quite the same way twice: the small motion between two pictures."""

import numpy as np
from scipy import ndimage

from medshot.data.phantoms.fields import Map


def move(tissue: Map, rng: np.random.Generator) -> Map:
    """Return the tissue turned by about 2 degrees and shifted by about 1.5 % of the side."""
    size = tissue.shape[-1]
    angle = float(rng.normal(0.0, 0.035))
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    matrix = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, 0.5 * (size - 1))
    offset = middle - matrix @ middle + rng.normal(0.0, 0.015 * size, 2)
    affine = np.column_stack([matrix, offset])
    return ndimage.affine_transform(tissue, affine, order=1, mode="nearest")
