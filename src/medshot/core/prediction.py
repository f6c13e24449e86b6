"""The answer for one image, as a user gets it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray


@dataclass(frozen=True)
class Prediction:
    """A label, and a probability in [0, 1] for every class."""

    path: str
    label: str
    probabilities: dict[str, float]

    @property
    def confidence(self) -> float:
        """The probability of the label given."""
        return self.probabilities[self.label]


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """The image in its file made better: upright, of its channels, type and range."""

    path: str
    pixels: Shaped[ndarray, "h w c"]


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """A class number for every pixel of the image in its file, upright; `labels` names them."""

    path: str
    mask: UInt8[ndarray, "h w"]
    labels: tuple[str, ...]

    def shares(self) -> dict[str, float]:
        """The part of the image that each class has."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.labels))
        return dict(zip(self.labels, (counts / self.mask.size).tolist(), strict=True))
