"""The answer for one image, as a user gets it."""

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
        """The probability of the label given."""
        return self.probabilities[self.label]


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """The image in its file made better: upright, of its channels, type and range."""

    path: str
    pixels: Shaped[ndarray, "h w c"]


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """A class number for every site of an image (upright) or a volume; `labels` names them."""

    path: str
    mask: UInt8[ndarray, "*s"]
    labels: tuple[str, ...]

    def shares(self) -> dict[str, float]:
        """The part of all sites that each class has."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.labels))
        return dict(zip(self.labels, (counts / self.mask.size).tolist(), strict=True))


@dataclass(frozen=True)
class NumberPrediction:
    """A number in the unit of the targets, or several, each under its name."""

    path: str
    values: dict[str, float]


@dataclass(frozen=True)
class FindingsPrediction:
    """The labels that are more likely there than not, and a probability in [0, 1] for each."""

    path: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]


@dataclass(frozen=True, eq=False)
class BoxPrediction:
    """Boxes `xmin ymin xmax ymax` in pixels of the image in its file, upright, the surest first."""

    path: str
    boxes: Float[ndarray, "m 4"]
    labels: tuple[str, ...]  # a class a box
    scores: Float[ndarray, "m"]  # in [0, 1], a box
    size: tuple[int, int]  # width and height of the image
