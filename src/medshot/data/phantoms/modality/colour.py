"""Cameras: how tissue becomes a colour picture.

Both modalities absorb light by Beer and Lambert's law, channel by channel. The functions take
what those of `grey` take, and return (3, size, size), about 0 to 1, not yet clipped.
"""

import numpy as np

from medshot.data.phantoms.fields import Map, grid, smooth_noise
from medshot.data.phantoms.modality.grey import Stream, blur, white

# Absorption of red, green and blue (relative): melanin rises towards the blue, blood peaks in
# green and blue.
MELANIN = np.array([0.55, 1.0, 1.35], np.float32)
BLOOD = np.array([0.12, 1.0, 0.8], np.float32)

# Optical densities of the stains: Ruifrok and Johnston, Anal Quant Cytol Histol 2001.
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286], np.float32)
EOSIN = np.array([0.072, 0.990, 0.105], np.float32)


def _absorb(amounts: list[tuple[Map, np.ndarray]]) -> np.ndarray:
    """Return the light left, (3, size, size), after these amounts of these absorbers."""
    density = sum(amount[None] * colour[:, None, None] for amount, colour in amounts)
    return np.exp(-np.asarray(density))


def _grain(noise: Stream, size: int, level: float) -> np.ndarray:
    """Return sensor noise, mostly shared between the channels."""
    shared = white(noise, size)[None]
    return level * (0.8 * shared + 0.6 * noise.standard_normal((3, size, size), dtype=np.float32))


def dermoscopy(tissue: Map, scanner: Stream, noise: Stream) -> np.ndarray:
    """Dermoscopy: pigment and blood in skin of any tone, under a lens that darkens outwards."""
    size = tissue.shape[-1]
    x, y = grid(size)
    tone = float(scanner.uniform(0.0, 0.35))
    blush = float(scanner.uniform(0.1, 0.4)) + 0.08 * smooth_noise(scanner, size, 3)
    pigment = tone + 1.35 * np.clip(blur(tissue, 0.014), 0.0, None)
    light = float(scanner.uniform(0.95, 1.2)) + 0.05 * smooth_noise(scanner, size, 2)
    falloff = 1.0 - float(scanner.uniform(0.05, 0.28)) * (x * x + y * y)
    warmth = np.array([1.0, 1.0, float(scanner.uniform(0.85, 1.05))], np.float32)
    image = _absorb([(pigment, MELANIN), (blush, BLOOD)]) * (light * falloff)
    return image * warmth[:, None, None] + _grain(noise, size, 0.025)


def histology(tissue: Map, scanner: Stream, noise: Stream) -> np.ndarray:
    """Histology: haematoxylin and eosin, in the strengths of one laboratory and one batch.

    Eosin stains tissue evenly once there is some; haematoxylin takes over where it is dense.
    """
    size = tissue.shape[-1]
    strength = scanner.uniform(0.75, 1.3, 2)
    uptake = blur(tissue, 0.011)
    eosin = float(strength[0]) * 1.3 * np.clip(uptake, 0.0, 0.55)
    blue = float(strength[1]) * 2.2 * np.clip(uptake - 0.33, 0.0, None)
    light = np.float32(scanner.uniform(0.9, 1.02))
    return light * _absorb([(eosin, EOSIN), (blue, HAEMATOXYLIN)]) + _grain(noise, size, 0.025)
