"""Patterns that the instrument or the file format adds."""

import io

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image as Pillow

Image = Float[ndarray, "d h w"]
APART = 5  # pixels between an image and its ghost


def stripes(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Every row brighter or darker, as where each line of a scanner has an offset of its own."""
    return image + 0.1 * strength * rng.normal(size=(1, image.shape[1], 1))


def ghost(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A faint copy a few pixels away, as after a movement between two readings."""
    del rng
    share = 0.4 * strength
    return (1 - share) * image + share * np.roll(image, APART, 1)


def jpeg(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """What compression leaves, of quality 50 down to 5."""
    del rng
    return np.stack([_compressed(plane, round(50 - 45 * strength)) for plane in image])


def _compressed(plane: Float[ndarray, "h w"], quality: int) -> Float[ndarray, "h w"]:
    buffer = io.BytesIO()
    pixels = (255 * plane.clip(0, 1)).round().astype(np.uint8)
    Pillow.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Pillow.open(buffer), np.float64) / 255


KINDS = {"stripes": stripes, "ghost": ghost, "jpeg": jpeg}
