"""Imaging modalities of phantoms: anatomy and image formation.

An acquisition function takes tissue (0 to 1), the scanner's stream (settings of a patient) and
the noise stream (new for each image). Radiology returns gray values, about 0 to 1, not yet
clipped; cameras return (3, size, size), with absorption by the Beer-Lambert law per channel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medshot.phantoms.fields import Map, grid, smooth_noise, soft_step
from medshot.phantoms.labels import anatomy

Stream = np.random.Generator


def point_spread(image: Map, width: float) -> Map:
    """Gaussian point spread function with a standard deviation of `width` half image sides."""
    sigma = 0.5 * width * image.shape[-1]
    return ndimage.gaussian_filter(image, sigma, truncate=2.5, mode="nearest")


def white(rng: Stream, size: int) -> Map:
    """Unit white noise."""
    return rng.standard_normal((size, size), dtype=np.float32)


def window(image: Map, scanner: Stream) -> Map:
    """Apply a display window whose level and width vary between patients."""
    level = float(scanner.normal(0.5, 0.06))
    width = float(scanner.uniform(0.85, 1.35))
    return (image - level) / width + 0.5


def ct(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Computed tomography: a reconstruction kernel, and noise without low frequencies.

    Filtered back-projection shapes the noise power by the ramp filter, so it rises from zero
    (Riederer, Pelc, Chesler, Phys Med Biol 1978).
    """
    size = tissue.shape[-1]
    dose = float(scanner.uniform(0.04, 0.1))
    grain = point_spread(white(noise, size), 0.5 / size)
    grain -= point_spread(grain, 0.05)
    image = point_spread(tissue, float(scanner.uniform(0.012, 0.024)))
    return window(image + dose * grain, scanner)


def mr(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Magnetic resonance: coil shading and Rician noise of the magnitude of a complex signal.

    Gudbjartsson and Patz, Magn Reson Med 1995.
    """
    size = tissue.shape[-1]
    weighting = float(scanner.uniform(0.7, 1.5))
    shading = np.exp(0.22 * smooth_noise(scanner, size, 2))
    level = float(scanner.uniform(0.03, 0.08))
    signal = shading * np.clip(tissue, 0.0, None) ** weighting
    signal = point_spread(signal, float(scanner.uniform(0.01, 0.02)))
    magnitude = np.hypot(signal + level * white(noise, size), level * white(noise, size))
    return window(magnitude, scanner)


def ultrasound(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Ultrasound: log-compressed echoes with fully developed speckle, attenuated with depth.

    The envelope of many scatterers is Rayleigh distributed (Burckhardt, IEEE Trans Sonics
    Ultrason 1978); lateral resolution is lower than axial.
    """
    size = tissue.shape[-1]
    x, y = grid(size)
    spread = (0.009 * size, 0.016 * size)
    real, imaginary = (
        ndimage.gaussian_filter(white(noise, size), spread, truncate=2.5) for _ in range(2)
    )
    envelope = np.hypot(real, imaginary)
    speckle = np.log(envelope / envelope.mean() + 0.05)
    loss = float(scanner.uniform(0.05, 0.25))
    contrast = float(scanner.uniform(0.12, 0.18))
    image = 0.95 * tissue + contrast * speckle - loss * 0.5 * (y + 1.0) + 0.12
    return window(image, scanner) * _sector(x, y, scanner)


def _sector(x: Map, y: Map, scanner: Stream) -> Map:
    """Mask of the scanned sector, whose apex lies above the image."""
    apex = float(scanner.uniform(1.5, 2.6))
    half = float(scanner.uniform(0.34, 0.5)) + 0.12
    angle = np.arctan2(x, y + apex)
    reach = np.sqrt(x * x + (y + apex) ** 2)
    near = soft_step(reach - (apex - 0.95), 0.04)
    return soft_step(half - np.abs(angle), 0.03) * near * soft_step(apex + 0.97 - reach, 0.04)


def xray(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Radiograph: exponential attenuation, scatter fog, Poisson photon counts, focal-spot blur."""
    size = tissue.shape[-1]
    photons = float(scanner.uniform(250.0, 900.0))
    thickness = float(scanner.uniform(2.0, 3.0))
    fog = float(scanner.uniform(0.01, 0.05))
    through = np.exp(-thickness * np.clip(point_spread(tissue, 0.02), 0.0, None)) + fog
    counts = noise.poisson(photons * through).astype(np.float32)
    film = -np.log((counts + 1.0) / photons) / thickness
    return window(point_spread(film, 0.9 / size), scanner)


# relative absorption of red, green and blue: melanin increases toward blue, blood peaks in green
MELANIN = np.array([0.55, 1.0, 1.35], np.float32)
BLOOD = np.array([0.12, 1.0, 0.8], np.float32)

# optical densities of the stains: Ruifrok and Johnston, Anal Quant Cytol Histol 2001
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286], np.float32)
EOSIN = np.array([0.072, 0.990, 0.105], np.float32)


def _absorb(amounts: list[tuple[Map, np.ndarray]]) -> np.ndarray:
    """Transmitted light, (3, size, size), after absorption by these amounts."""
    density = sum(amount[None] * colour[:, None, None] for amount, colour in amounts)
    return np.exp(-np.asarray(density))


def _grain(noise: Stream, size: int, level: float) -> np.ndarray:
    """Sensor noise, mostly shared between channels."""
    shared = white(noise, size)[None]
    return level * (0.8 * shared + 0.6 * noise.standard_normal((3, size, size), dtype=np.float32))


def dermoscopy(tissue: Map, scanner: Stream, noise: Stream) -> np.ndarray:
    """Dermoscopy: pigment and blood in skin of any tone, with vignetting."""
    size = tissue.shape[-1]
    x, y = grid(size)
    tone = float(scanner.uniform(0.0, 0.35))
    blush = float(scanner.uniform(0.1, 0.4)) + 0.08 * smooth_noise(scanner, size, 3)
    pigment = tone + 1.35 * np.clip(point_spread(tissue, 0.014), 0.0, None)
    light = float(scanner.uniform(0.95, 1.2)) + 0.05 * smooth_noise(scanner, size, 2)
    falloff = 1.0 - float(scanner.uniform(0.05, 0.28)) * (x * x + y * y)
    warmth = np.array([1.0, 1.0, float(scanner.uniform(0.85, 1.05))], np.float32)
    image = _absorb([(pigment, MELANIN), (blush, BLOOD)]) * (light * falloff)
    return image * warmth[:, None, None] + _grain(noise, size, 0.025)


def histology(tissue: Map, scanner: Stream, noise: Stream) -> np.ndarray:
    """Histology: hematoxylin and eosin, with the staining strength of one laboratory and batch.

    Eosin stains all tissue evenly; hematoxylin dominates where it is dense.
    """
    size = tissue.shape[-1]
    strength = scanner.uniform(0.75, 1.3, 2)
    uptake = point_spread(tissue, 0.011)
    eosin = float(strength[0]) * 1.3 * np.clip(uptake, 0.0, 0.55)
    blue = float(strength[1]) * 2.2 * np.clip(uptake - 0.33, 0.0, None)
    light = np.float32(scanner.uniform(0.9, 1.02))
    return light * _absorb([(eosin, EOSIN), (blue, HAEMATOXYLIN)]) + _grain(noise, size, 0.025)


@dataclass(frozen=True)
class Modality:
    """A modality: the body part, the contrast of findings, and the image formation."""

    anatomy: Callable[[np.random.Generator, int], anatomy.Body]
    contrast: float
    acquire: Callable[[Map, np.random.Generator, np.random.Generator], np.ndarray]


KINDS = {
    "ct": Modality(anatomy.torso, 0.36, ct),
    "mr": Modality(anatomy.head, 0.36, mr),
    "ultrasound": Modality(anatomy.layers, 0.42, ultrasound),
    "xray": Modality(anatomy.chest, 0.3, xray),
    "dermoscopy": Modality(anatomy.skin, 0.34, dermoscopy),
    "histology": Modality(anatomy.section, 0.36, histology),
}
MODALITIES: tuple[str, ...] = tuple(KINDS)


def to_pixels(image: np.ndarray) -> np.ndarray:
    """Convert gray or color values in 0 to 1 to uint8 (3, size, size), with clipping."""
    pixels = np.clip(image * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[None], 3, axis=0)


__all__ = ["KINDS", "MODALITIES", "Modality", "to_pixels"]
