"""Simulated image degradations: noise, resolution, artifacts. One file per family.

A degradation maps an image `d h w` in [0, 1], a strength in (0, 1] and a random generator to an
image in [0, 1]. These are simulations: real images have several at once, and none exactly so.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core.errors import unknown
from medshot.data.corruptions import artifacts, noise, resolution

Degradation = Callable[[Float[ndarray, "d h w"], float, np.random.Generator], ndarray]

FAMILIES: Mapping[str, Mapping[str, Degradation]] = {
    "noise": noise.KINDS,
    "resolution": resolution.KINDS,
    "artefacts": artifacts.KINDS,
}
DEGRADATIONS = {name: kind for family in FAMILIES.values() for name, kind in family.items()}


def degraded(
    image: Float[ndarray, "d h w"], kind: str, strength: float, rng: np.random.Generator
) -> Float[ndarray, "d h w"]:
    """Apply the degradation `kind` to `image`; the result is clipped to [0, 1].

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in DEGRADATIONS:
        raise unknown(kind, DEGRADATIONS, kind="degradation")
    return DEGRADATIONS[kind](image, strength, rng).clip(0, 1)
