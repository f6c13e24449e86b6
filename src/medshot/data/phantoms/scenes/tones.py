"""Tones: what values or colours the tissues of one task can have."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from medshot.data.phantoms.modality.colour import BLOOD, EOSIN, HAEMATOXYLIN, MELANIN


def palette(rng: np.random.Generator, style: str, dark: Sequence[bool]) -> Float32[ndarray, "t c"]:
    """A tone in [0, 1] for each tissue, the first being the ground: of one channel or of three."""
    tones = _STYLES[style](rng, len(dark))
    tones[np.array(dark)] *= 0.05
    return tones.astype(np.float32)


def _grey(rng: np.random.Generator, count: int) -> ndarray:
    """Any values: magnetic resonance, computed tomography, electron microscopy, ..."""
    return rng.uniform(0.04, 0.95, (count, 1))


def _fluorescence(rng: np.random.Generator, count: int) -> ndarray:
    """Bright on a dark ground, in grey or in one colour."""
    values = rng.uniform(0.1, 0.95, (count, 1))
    values[0] = rng.uniform(0.0, 0.12)
    if rng.random() < 0.7:
        return values
    return values * rng.uniform(0.05, 1.0, 3)


def _stain(rng: np.random.Generator, count: int) -> ndarray:
    """Two dyes on a light ground: haematoxylin and eosin, or others, of one laboratory."""
    dyes = np.stack([HAEMATOXYLIN, EOSIN]) * rng.uniform(0.6, 1.5, (2, 3))
    if rng.random() < 0.35:
        dyes = rng.uniform(0.05, 1.1, (2, 3))
    amounts = rng.uniform(0.0, 1.6, (count, 2))
    amounts[0] *= float(rng.choice([0.1, 0.4, 1.0]))
    lamp = rng.uniform(0.8, 1.0) * np.where(rng.random(3) < 0.15, 0.75, 1.0)
    return lamp * np.exp(-amounts @ dyes)


def _photo(rng: np.random.Generator, count: int) -> ndarray:
    """Skin, mucosa or fundus: melanin and blood under a lamp, and things of other colours."""
    tint = rng.uniform(0.75, 1.0, 3)
    melanin, blood = rng.uniform(0.05, 1.3, (2, count, 1))
    tones = rng.uniform(0.6, 1.0, (count, 1)) * tint * np.exp(-melanin * MELANIN - blood * BLOOD)
    other = rng.random(count) < 0.15
    tones[other] = rng.uniform(0.0, 0.95, (int(other.sum()), 3))
    return tones


def _any(rng: np.random.Generator, count: int) -> ndarray:
    """Any colours."""
    return rng.uniform(0.0, 1.0, (count, 3))


_STYLES = {
    "any": _any,
    "fluorescence": _fluorescence,
    "grey": _grey,
    "photo": _photo,
    "stain": _stain,
}
