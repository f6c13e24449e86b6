"""Artifacts of scanners, illumination, coils and file formats."""

import io

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image as Pillow

Image = Float[ndarray, "d h w"]
APART = 5  # offset of a ghost in pixels


def stripes(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Line offsets: a random brightness shift per row."""
    return image + 0.1 * strength * rng.normal(size=(1, image.shape[1], 1))


def ghost(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A faint copy shifted by a few pixels, as by motion between readouts."""
    del rng
    share = 0.4 * strength
    return (1 - share) * image + share * np.roll(image, APART, 1)


def jpeg(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """JPEG compression, of quality 50 down to 5."""
    del rng
    return np.stack([_compressed(plane, round(50 - 45 * strength)) for plane in image])


def _compressed(plane: Float[ndarray, "h w"], quality: int) -> Float[ndarray, "h w"]:
    buffer = io.BytesIO()
    pixels = (255 * plane.clip(0, 1)).round().astype(np.uint8)
    Pillow.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Pillow.open(buffer), np.float64) / 255


KINDS = {"stripes": stripes, "ghost": ghost, "jpeg": jpeg}


def brighter(image: Image, strength: float, rng: np.random.Generator, *, sign: int) -> Image:
    """Shift of brightness up (`sign` 1) or down (-1), by up to 0.3 of the range."""
    del rng
    return image + 0.3 * sign * strength


def contrast(image: Image, strength: float, rng: np.random.Generator, *, sign: int) -> Image:
    """Contrast scaled up to 2.5 times (`sign` 1) or down to 0.3 times (-1)."""
    del rng
    factor = 1 + 1.5 * strength if sign > 0 else 1 - 0.7 * strength
    mean = image.mean()
    return mean + factor * (image - mean)


def cast(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Color cast: a random factor per channel, or one for a gray image."""
    factors = np.exp(0.5 * strength * rng.choice([-1.0, 1.0], (len(image), 1, 1)))
    return image * factors


def shading(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Linear brightness gradient, as of an uneven coil or a lamp at the edge."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, columns = (np.linspace(-1, 1, n) for n in image.shape[1:])
    slope = np.cos(angle) * rows[:, None] + np.sin(angle) * columns[None]
    return image * np.exp(0.6 * strength * slope)
