"""What a report says, as frozen data: images, how it was measured, where it came from.

Images are uint8 arrays ``c h w`` with c 1 (grey) or 3 (RGB). Every text may come from a user and is
shown as text, never as HTML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medshot.evaluation.report.numbers import Scatter, Table
from medshot.evaluation.report.scores import (
    Confusion,
    Difference,
    MetricsTable,
    Reliability,
)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class SupportImage:
    """One labelled image that the predictor learnt from, ``c h w`` uint8."""

    pixels: Pixels
    label: str
    patient: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """What the predictor learnt from: the counts, and the images to show (all, some or none)."""

    labels: tuple[str, ...]
    n_images: int
    n_patients: int | None
    """None where the data carry no patient ids."""
    images: tuple[SupportImage, ...] = ()
    goal: str = ""
    """What was learnt, after "The predictor learnt"; where empty, to tell the labels apart."""
    heading: str = "What it learnt from"

    def by_label(self) -> dict[str, list[SupportImage]]:
        """Return the images to show under their labels, in the order of ``labels``."""
        groups: dict[str, list[SupportImage]] = {label: [] for label in self.labels}
        for image in self.images:
            groups.setdefault(image.label, []).append(image)
        return {label: images for label, images in groups.items() if images}


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One test image ``c h w`` uint8, the truth, the answer and how sure it is, if it says so."""

    pixels: Pixels
    truth: str
    predicted: str
    confidence: float | None
    patient: str | None = None
    name: str = ""
    exact: bool = True
    """False for numbers: they are near or far, not right or wrong."""

    @property
    def correct(self) -> bool:
        """Whether the predicted label is the truth."""
        return self.truth == self.predicted


@dataclass(frozen=True, slots=True, eq=False)
class MaskExample:
    """One test image ``c h w`` uint8, with the true mask (or boxes) and the answer drawn on it."""

    pixels: Pixels
    truth: Pixels
    answer: Pixels
    score: float
    patient: str | None = None
    name: str = ""
    metric: str = "Dice"
    """What the score is."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageExample:
    """One test image ``c h w`` uint8, the answer, and what was wanted."""

    pixels: Pixels
    answer: Pixels
    wanted: Pixels
    scores: Mapping[str, tuple[float, float]]
    """Of the answer and, after it, of the image as it was, by metric."""
    patient: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Protocol:
    """How the scores were measured; query is the number of test images of each class."""

    name: str
    episodes: int
    way: int
    shot: int
    query: int
    seed: int
    episodes_hash: str
    transductive: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the predictor came from and the command that makes it again."""

    learner: str
    data_hash: str
    date: str
    command: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    licence_notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Everything on the page; an absent part (None or empty) leaves no heading."""

    title: str
    support: Support
    summary: str = ""
    """One sentence in plain words; where empty it is written from the other fields."""
    warnings: tuple[str, ...] = ()
    metrics: MetricsTable | None = None
    differences: tuple[Difference, ...] = ()
    compared: tuple[str, str] = ("learner", "baseline")
    """What is compared, and with what, as the page calls them."""
    tried: Table | None = None
    confusion: Confusion | None = None
    reliability: Reliability | None = None
    scatter: Scatter | None = None
    tables: tuple[Table, ...] = ()
    examples: tuple[Prediction, ...] = ()
    masks: tuple[MaskExample, ...] = ()
    masks_title: str = "Example masks"
    enhanced: tuple[ImageExample, ...] = ()
    examples_note: str = ""
    """How the examples were chosen, for example "drawn at random from the test images"."""
    protocol: Protocol | None = None
    provenance: Provenance | None = None
