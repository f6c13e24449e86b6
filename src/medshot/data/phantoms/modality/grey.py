"""Radiology: how tissue becomes a grey picture.

Every function takes tissue (0 to 1), the scanner's stream (one setting a patient) and the
noise's stream (new for each image), and returns grey values, about 0 to 1, not yet clipped.
"""

import numpy as np
from scipy import ndimage

from medshot.data.phantoms.fields import Map, grid, smooth_noise, soft_step

Stream = np.random.Generator


def blur(image: Map, width: float) -> Map:
    """Return the image after a point spread of `width` half image sides (standard deviation)."""
    sigma = 0.5 * width * image.shape[-1]
    return ndimage.gaussian_filter(image, sigma, truncate=2.5, mode="nearest")


def white(rng: Stream, size: int) -> Map:
    """Return unit white noise."""
    return rng.standard_normal((size, size), dtype=np.float32)


def window(image: Map, scanner: Stream) -> Map:
    """Return the image under a reader's window: another level and width for each patient."""
    level = float(scanner.normal(0.5, 0.06))
    width = float(scanner.uniform(0.85, 1.35))
    return (image - level) / width + 0.5


def ct(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Computed tomography: a reconstruction kernel, with noise that lacks low frequencies.

    Filtered back-projection shapes the noise power by the ramp filter, so it rises from zero
    (Riederer, Pelc, Chesler, Phys Med Biol 1978).
    """
    size = tissue.shape[-1]
    dose = float(scanner.uniform(0.04, 0.1))
    grain = blur(white(noise, size), 0.5 / size)
    grain -= blur(grain, 0.05)
    image = blur(tissue, float(scanner.uniform(0.012, 0.024)))
    return window(image + dose * grain, scanner)


def mr(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Magnetic resonance: coil shading and Rician noise, the magnitude of a complex signal.

    Gudbjartsson and Patz, Magn Reson Med 1995.
    """
    size = tissue.shape[-1]
    weighting = float(scanner.uniform(0.7, 1.5))
    shading = np.exp(0.22 * smooth_noise(scanner, size, 2))
    level = float(scanner.uniform(0.03, 0.08))
    signal = shading * np.clip(tissue, 0.0, None) ** weighting
    signal = blur(signal, float(scanner.uniform(0.01, 0.02)))
    magnitude = np.hypot(signal + level * white(noise, size), level * white(noise, size))
    return window(magnitude, scanner)


def ultrasound(tissue: Map, scanner: Stream, noise: Stream) -> Map:
    """Ultrasound: log-compressed echoes with fully developed speckle, weaker with depth.

    The envelope of many scatterers is Rayleigh distributed (Burckhardt, IEEE Trans Sonics
    Ultrason 1978); the beam is wider across than along.
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
    """Return the mask of the fan the probe sweeps; its apex lies above the picture."""
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
    through = np.exp(-thickness * np.clip(blur(tissue, 0.02), 0.0, None)) + fog
    counts = noise.poisson(photons * through).astype(np.float32)
    film = -np.log((counts + 1.0) / photons) / thickness
    return window(blur(film, 0.9 / size), scanner)
