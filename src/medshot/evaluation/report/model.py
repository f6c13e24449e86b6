"""Data model of a report, frozen and without computation.

Images are uint8 arrays ``c h w`` with c 1 (gray) or 3 (RGB). Text may come from a user and is
always escaped. Higher is better, except for metrics whose name ends with a unit: errors.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["better", "not distinguishable", "worse", "undefined"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95% interval over n measurements; NaN where undefined."""

    mean: float
    low: float
    high: float
    n: int
    reason: str = ""
    """Why the mean or the interval is NaN; shown only then."""

    def __str__(self) -> str:
        if not self.has_interval:
            return f"{self.mean:.3f}" if self.has_mean else f"undefined: {self.reason}"
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def has_mean(self) -> bool:
        """Whether the mean is finite."""
        return math.isfinite(self.mean)

    @property
    def has_interval(self) -> bool:
        """Whether the mean and both ends of its interval are finite."""
        return all(math.isfinite(value) for value in (self.mean, self.low, self.high))


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric, with an estimate per method in the order of the table."""

    name: str
    """Name as used in a sentence: "balanced accuracy", "macro AUROC"."""
    estimates: tuple[Estimate, ...]
    chance: float | None = None
    """Chance level, drawn as a dashed line; None where unknown."""


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """Metrics by methods; the first method is the learner, the first row the leading metric.

    Raises:
        ValueError: a row does not have one estimate per method.
    """

    methods: tuple[str, ...]
    rows: tuple[MetricRow, ...]
    unit: str = "episode"
    """What n counts, in the singular: "episode", "patient", "image"."""
    interval_method: str = ""
    """Method of the intervals, for example "1.96 standard errors"."""
    in_turn: bool = False
    """Whether the scores are from cross-validation."""
    baseline: bool = False
    """Whether the learner is itself the baseline."""

    def __post_init__(self) -> None:
        if not self.methods or not self.rows:
            raise ValueError("a metrics table needs a method and a row; use None for no table")
        for row in self.rows:
            if len(row.estimates) != len(self.methods):
                raise ValueError(
                    f"metric {row.name!r} has {len(row.estimates)} estimates "
                    f"for {len(self.methods)} methods"
                )


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired difference, learner minus baseline, in one metric."""

    metric: str
    baseline: str
    estimate: Estimate

    @property
    def verdict(self) -> Verdict:
        """ "better" or "worse" only if the 95% interval excludes 0."""
        if not self.estimate.has_interval:
            return "undefined"
        if self.estimate.low > 0:
            return "better"
        return "worse" if self.estimate.high < 0 else "not distinguishable"


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Confusion matrix: counts ``k k`` with the truth in rows, predictions in columns.

    Raises:
        ValueError: the counts are not one row and one column per label.
    """

    labels: tuple[str, ...]
    counts: NDArray[np.integer]
    note: str = ""

    def __post_init__(self) -> None:
        k = len(self.labels)
        if self.counts.shape != (k, k):
            raise ValueError(f"{k} labels need counts {k} x {k}, got shape {self.counts.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Confidence against observed accuracy in bins: three arrays ``bins``.

    Raises:
        ValueError: the arrays differ in length.
    """

    confidence: NDArray[np.floating]
    accuracy: NDArray[np.floating]
    count: NDArray[np.integer]
    calibration_error: float | None = None
    """Expected calibration error, a fraction."""
    note: str = ""

    def __post_init__(self) -> None:
        shapes = {self.confidence.shape, self.accuracy.shape, self.count.shape}
        if len(shapes) != 1 or self.count.ndim != 1:
            raise ValueError(f"the reliability arrays need one shape (bins,), got {shapes}")


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """Predicted against true numbers: two arrays ``n`` in the same unit.

    Raises:
        ValueError: the arrays differ in length.
    """

    name: str
    truth: NDArray[np.floating]
    answer: NDArray[np.floating]

    def __post_init__(self) -> None:
        if self.truth.shape != self.answer.shape or self.truth.ndim != 1:
            raise ValueError(f"a scatter needs pairs, got {self.truth.shape}, {self.answer.shape}")


Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class SupportImage:
    """One labeled image of the support, ``c h w`` uint8."""

    pixels: Pixels
    label: str
    patient: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """The support: counts, and the images to show (all, some or none)."""

    labels: tuple[str, ...]
    n_images: int
    n_patients: int | None
    """None if the data have no patient IDs."""
    images: tuple[SupportImage, ...] = ()
    goal: str = ""
    """What was learned, after "The predictor learned"; by default, to tell the labels apart."""
    heading: str = "What it learned from"

    def by_label(self) -> dict[str, list[SupportImage]]:
        """Images to show by label, in the order of ``labels``."""
        groups: dict[str, list[SupportImage]] = {label: [] for label in self.labels}
        for image in self.images:
            groups.setdefault(image.label, []).append(image)
        return {label: images for label, images in groups.items() if images}


@dataclass(frozen=True, slots=True, eq=False)
class ShownPrediction:
    """One test image ``c h w`` uint8 with truth, prediction and confidence, if there is one."""

    pixels: Pixels
    truth: str
    predicted: str
    confidence: float | None
    patient: str | None = None
    name: str = ""
    exact: bool = True
    """False for numbers, which are not simply right or wrong."""

    @property
    def correct(self) -> bool:
        """Whether the predicted label is the truth."""
        return self.truth == self.predicted


@dataclass(frozen=True, slots=True, eq=False)
class MaskExample:
    """One test image ``c h w`` uint8, with the true and the predicted mask (or boxes) drawn."""

    pixels: Pixels
    truth: Pixels
    answer: Pixels
    score: float
    patient: str | None = None
    name: str = ""
    metric: str = "Dice"
    """Name of the score."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageExample:
    """One test image ``c h w`` uint8, with the prediction and the target."""

    pixels: Pixels
    answer: Pixels
    wanted: Pixels
    scores: Mapping[str, tuple[float, float]]
    """By metric: score of the prediction, then of the input image."""
    patient: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class ReportProtocol:
    """How the scores were measured; `query` is the number of test images per class."""

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
    """Origin of the predictor and the command that reproduces it."""

    learner: str
    data_hash: str
    date: str
    command: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    licence_notes: tuple[str, ...] = ()
