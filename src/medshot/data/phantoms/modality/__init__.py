"""How a patient becomes a picture: the anatomy a modality looks at and the physics it sees by."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medshot.data.phantoms import anatomy
from medshot.data.phantoms.fields import Map
from medshot.data.phantoms.modality import colour, grey


@dataclass(frozen=True)
class Modality:
    """A modality: the body part it pictures, how strongly findings show, and its physics."""

    anatomy: Callable[[np.random.Generator, int], anatomy.Body]
    contrast: float
    acquire: Callable[[Map, np.random.Generator, np.random.Generator], np.ndarray]


KINDS = {
    "ct": Modality(anatomy.torso, 0.36, grey.ct),
    "mr": Modality(anatomy.head, 0.36, grey.mr),
    "ultrasound": Modality(anatomy.layers, 0.42, grey.ultrasound),
    "xray": Modality(anatomy.chest, 0.3, grey.xray),
    "dermoscopy": Modality(anatomy.skin, 0.34, colour.dermoscopy),
    "histology": Modality(anatomy.section, 0.36, colour.histology),
}
MODALITIES: tuple[str, ...] = tuple(KINDS)


def to_pixels(image: np.ndarray) -> np.ndarray:
    """Return uint8 (3, size, size) from grey or colour values in 0 to 1, clipping the rest."""
    pixels = np.clip(image * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[None], 3, axis=0)


__all__ = ["KINDS", "MODALITIES", "Modality", "to_pixels"]
