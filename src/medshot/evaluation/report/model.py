"""What a report holds, as frozen data: images, scores, tables, provenance. It computes nothing.

Images are uint8 arrays ``c h w`` with c 1 (gray) or 3 (RGB). Every text may come from a user and is
shown as text, never as HTML. Higher is better, except for a metric whose name ends with a unit: an
error.
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
    """A mean with its 95% interval over n measurements; NaN where it has no value."""

    mean: float
    low: float
    high: float
    n: int
    reason: str = ""
    """Why the mean or the interval is NaN, in plain words; shown only then."""

    @property
    def has_mean(self) -> bool:
        """Whether the mean is a number."""
        return math.isfinite(self.mean)

    @property
    def has_interval(self) -> bool:
        """Whether the mean and both ends of its interval are numbers."""
        return all(math.isfinite(value) for value in (self.mean, self.low, self.high))


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric: an estimate for each method, in the order of the table's methods."""

    name: str
    """As it reads inside a sentence: "balanced accuracy", "macro AUROC"."""
    estimates: tuple[Estimate, ...]
    chance: float | None = None
    """The score of guessing, drawn as a dashed line where it is known."""


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """Metrics by methods; the first method is the learner, the first row leads the summary.

    Raises ValueError where a row does not hold one estimate for each method.
    """

    methods: tuple[str, ...]
    rows: tuple[MetricRow, ...]
    unit: str = "episode"
    """What n counts, in the singular: "episode", "patient", "image"."""
    interval_method: str = ""
    """How the intervals were made, for example "bootstrap over patients, 10000 draws"."""
    in_turn: bool = False
    """Whether all that is scored was learned from too: cross-validation, each left out in turn."""
    baseline: bool = False
    """Whether the learner is itself the simple one that others are compared with."""

    def __post_init__(self) -> None:
        if not self.methods or not self.rows:
            raise ValueError("a metrics table needs a method and a row; give None for no table")
        for row in self.rows:
            if len(row.estimates) != len(self.methods):
                raise ValueError(
                    f"metric {row.name!r} has {len(row.estimates)} estimates "
                    f"for {len(self.methods)} methods"
                )


@dataclass(frozen=True, slots=True)
class Difference:
    """The paired difference, learner minus baseline, on one metric."""

    metric: str
    baseline: str
    estimate: Estimate

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where the 95% interval excludes 0."""
        if not self.estimate.has_interval:
            return "undefined"
        if self.estimate.low > 0:
            return "better"
        return "worse" if self.estimate.high < 0 else "not distinguishable"


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """How often each truth (row) was given each label (column): counts ``k k``.

    Raises ValueError where the counts are not one row and one column for each label.
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
    """Stated confidence against observed accuracy in bins: three arrays ``bins``.

    Raises ValueError where the three arrays are not of one length.
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
    """Numbers that were answered against the true ones: two arrays ``n``, in one unit.

    Raises ValueError where the two are not of one length.
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
    """One labelled image that the predictor learned from, ``c h w`` uint8."""

    pixels: Pixels
    label: str
    patient: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """What the predictor learned from: the counts, and the images to show (all, some or none)."""

    labels: tuple[str, ...]
    n_images: int
    n_patients: int | None
    """None where the data carry no patient ids."""
    images: tuple[SupportImage, ...] = ()
    goal: str = ""
    """What was learned, after "The predictor learned"; where empty, to tell the labels apart."""
    heading: str = "What it learned from"

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
