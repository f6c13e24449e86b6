"""Simulated image degradations: noise, loss of detail, artifacts.

A degradation maps an image `d h w` in [0, 1], a strength in (0, 1] and a random generator to an
image in [0, 1]. These are simulations: real images have several at once, and none exactly so.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter, shift

from medshot.core import unknown

Image = Float[ndarray, "d h w"]
Degradation = Callable[[Image, float, np.random.Generator], Image]

NOISE_STD = 0.2  # std at strength 1, relative to the range (at white, if signal-dependent)
IMPULSES = 0.15  # fraction of the pixels at strength 1
PATH_SAMPLES = 9  # samples along the path
PATH_LENGTH = 0.15  # path length at strength 1, relative to the shorter side
GHOST_OFFSET = 5  # offset of a ghost in pixels


def gaussian(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Additive Gaussian noise, as of electronics."""
    return image + NOISE_STD * strength * rng.normal(size=image.shape)


def poisson(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Photon noise: the variance is proportional to the brightness."""
    photons = 1 / (NOISE_STD * strength) ** 2  # at white
    return rng.poisson(photons * image) / photons


def speckle(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Multiplicative noise, as in ultrasound and optical coherence tomography."""
    return image * (1 + 2 * NOISE_STD * strength * rng.normal(size=image.shape))


def rician(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Magnitude of a complex signal, as in MR: brightens dark regions.

    Source: Gudbjartsson & Patz 1995, doi:10.1002/mrm.1910340618.
    """
    real, imaginary = NOISE_STD * strength * rng.normal(size=(2, *image.shape))
    return np.hypot(image + real, imaginary)


def impulses(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Salt-and-pepper noise, as of dead detector elements."""
    wrong = rng.random(image.shape[1:]) < IMPULSES * strength
    value = rng.integers(0, 2, image.shape[1:])
    return np.where(wrong, value, image)


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


def motion(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Motion blur: mean of the image along a line in a random direction."""
    angle = rng.uniform(0, np.pi)
    length = PATH_LENGTH * strength * min(image.shape[1:])
    line = np.linspace(-length / 2, length / 2, PATH_SAMPLES)
    moved = [_moved(image, place * np.sin(angle), place * np.cos(angle)) for place in line]
    return np.mean(moved, axis=0)


def _moved(image: Image, down: float, right: float) -> Image:
    """Subpixel shift with replicated borders."""
    return shift(image, (0.0, down, right), order=1, mode="nearest")


def stripes(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """Line offsets: a random brightness shift per row."""
    return image + 0.1 * strength * rng.normal(size=(1, image.shape[1], 1))


def ghost(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """A faint copy shifted by a few pixels, as by motion between readouts."""
    del rng
    share = 0.4 * strength
    return (1 - share) * image + share * np.roll(image, GHOST_OFFSET, 1)


def jpeg(image: Image, strength: float, rng: np.random.Generator) -> Image:
    """JPEG compression, of quality 50 down to 5."""
    del rng
    return np.stack([_compressed(plane, round(50 - 45 * strength)) for plane in image])


def _compressed(plane: Float[ndarray, "h w"], quality: int) -> Float[ndarray, "h w"]:
    buffer = io.BytesIO()
    pixels = (255 * plane.clip(0, 1)).round().astype(np.uint8)
    Pillow.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Pillow.open(buffer), np.float64) / 255


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


FAMILIES: Mapping[str, Mapping[str, Degradation]] = {
    "noise": {"gaussian": gaussian, "poisson": poisson, "speckle": speckle, "rician": rician},
    "resolution": {"coarse": coarse, "blur": blur},
    "artefacts": {"stripes": stripes, "ghost": ghost, "jpeg": jpeg},
}
DEGRADATIONS = {name: kind for family in FAMILIES.values() for name, kind in family.items()}


def degraded(image: Image, kind: str, strength: float, rng: np.random.Generator) -> Image:
    """Apply the degradation `kind` to `image`; the result is clipped to [0, 1].

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in DEGRADATIONS:
        raise unknown(kind, DEGRADATIONS, kind="degradation")
    return DEGRADATIONS[kind](image, strength, rng).clip(0, 1)
