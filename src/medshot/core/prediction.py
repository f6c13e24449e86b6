"""Predictions for one image, as returned to the user."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from numpy import ndarray


@dataclass(frozen=True)
class Prediction:
    """A label, and a probability in [0, 1] for every class."""

    path: str
    label: str
    probabilities: dict[str, float]

    @property
    def confidence(self) -> float:
        """Probability of the predicted label."""
        return self.probabilities[self.label]


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """The enhanced image: upright, with the channels, dtype and range of the input."""

    path: str
    pixels: Shaped[ndarray, "h w c"]


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """A class index for every site of an image (upright) or a volume; `labels` names them."""

    path: str
    mask: UInt8[ndarray, "*s"]
    labels: tuple[str, ...]

    def shares(self) -> dict[str, float]:
        """Fraction of all sites that each class has."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.labels))
        return dict(zip(self.labels, (counts / self.mask.size).tolist(), strict=True))


@dataclass(frozen=True)
class NumberPrediction:
    """Named numbers, in the units of the targets."""

    path: str
    values: dict[str, float]


@dataclass(frozen=True)
class FindingsPrediction:
    """Labels with a probability above one half, and the probabilities of all labels."""

    path: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]


@dataclass(frozen=True, eq=False)
class BoxPrediction:
    """Boxes `xmin ymin xmax ymax` in pixels of the upright image, by decreasing score."""

    path: str
    boxes: Float[ndarray, "m 4"]
    labels: tuple[str, ...]  # class of each box
    scores: Float[ndarray, "m"]  # in [0, 1]
    size: tuple[int, int]  # width and height of the image
