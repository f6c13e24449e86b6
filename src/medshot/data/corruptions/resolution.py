"""Loss of detail: fewer pixels, blur, motion blur."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter, shift

Image = Float[ndarray, "d h w"]


def coarse(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Downsample by averaging 2, 3 (above strength 0.5) or 4 (above 0.75) pixels per side.

    Bicubic interpolation restores the grid.
    """
    del rng
    height, width = image.shape[1:]
    factor = 2 + (strength > 0.5) + (strength > 0.75)
    small = (max(1, width // factor), max(1, height // factor))
    return np.stack([_resized(plane, small, (width, height)) for plane in image])


def blur(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Gaussian blur of up to 2 pixels."""
    del rng
    return gaussian_filter(image, (0, 2 * strength, 2 * strength))


def _resized(
    plane: Float[ndarray, "h w"], small: tuple[int, int], large: tuple[int, int]
) -> Float[ndarray, "h w"]:
    mean = Pillow.fromarray(plane.astype(np.float32)).resize(small, Pillow.Resampling.BOX)
    return np.asarray(mean.resize(large, Pillow.Resampling.BICUBIC), np.float64)


KINDS = {"coarse": coarse, "blur": blur}


PLACES = 9  # samples along the path
FARTHEST = 0.15  # path length at strength 1, relative to the shorter side


def motion(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Motion blur: mean of the image along a line in a random direction."""
    angle = rng.uniform(0, np.pi)
    length = FARTHEST * strength * min(image.shape[1:])
    line = np.linspace(-length / 2, length / 2, PLACES)
    moved = [_moved(image, place * np.sin(angle), place * np.cos(angle)) for place in line]
    return np.mean(moved, axis=0)


def _moved(image: Image, down: float, right: float) -> Image:
    """Subpixel shift with replicated borders."""
    return shift(image, (0.0, down, right), order=1, mode="nearest")
