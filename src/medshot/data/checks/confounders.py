"""Confounders: file format, size or bit depth that predicts the class.

If all images of one class are larger, or have another bit depth, a learner can use that instead
of the content, and its score does not carry over to the next hospital.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from medshot.data.checks.issue import Issue
from medshot.data.io.image import decode
from medshot.data.io.registry import DICOM, IMAGES, format_in, image_format


@dataclass(frozen=True)
class ImageInfo:
    """Properties of an image other than its content, which a learner could exploit."""

    height: int
    width: int
    bits: int  # per value
    colour: bool  # False also for three equal channels
    kind: str  # file format by content, its first suffix: .png, .jpg
    digest: str  # hash of the pixels

    def named(self, path: Path) -> bool:
        """Whether the suffix of `path` matches the format."""
        known = IMAGES.all()
        named = known.get(path.suffix.lower())
        if named is None and self.kind == DICOM:  # a UID such as 1.2.840.1
            return True
        return named is known.get(self.kind)


def look(path: Path) -> ImageInfo:
    """Inspect the image at `path`.

    Raises:
        DataError: it cannot be used.
    """
    pixels = decode(path)
    height, width, channels = pixels.shape
    colour = channels == 3 and bool((pixels != pixels[:, :, :1]).any())
    seen = pixels if colour else pixels[:, :, :1]
    kind = format_in(path, IMAGES) or image_format(path)
    form = f"{seen.shape} {pixels.dtype}".encode()
    return ImageInfo(
        height,
        width,
        1 if pixels.dtype == bool else 8 * pixels.dtype.itemsize,
        colour,
        kind.suffixes[0] if kind else path.suffix.lower(),
        hashlib.sha256(form + np.ascontiguousarray(seen).tobytes()).hexdigest(),
    )


CHANCE = 0.01  # significance level
FIX = "Make all classes alike (one source, one export), or scores will be too good."


@dataclass(frozen=True)
class FileProperty:
    """A property of an image file, and the AUROC above which it reveals a class."""

    name: str
    value: Callable[[ImageInfo], float]
    enough: float
    say: Callable[[float], str]


FORMS = (
    FileProperty(
        "size", lambda look: max(look.height, look.width), 0.8, lambda v: f"long side {v:.0f}"
    ),
    FileProperty(
        "shape", lambda look: look.width / look.height, 0.8, lambda v: f"width/height {v:.2f}"
    ),
    FileProperty("depth", lambda look: look.bits, 0.6, lambda v: f"{v:.0f} bits"),
    FileProperty("colour", lambda look: look.colour, 0.6, lambda v: f"{v:.0%} in colour"),
    FileProperty("file kind", lambda look: look.kind == ".jpg", 0.6, lambda v: f"{v:.0%} JPEG"),
)


def shortcuts(labels: Sequence[str], looks: Sequence[ImageInfo]) -> list[Issue]:
    """A warning for each property that separates a class from the others."""
    known = np.array(labels)
    return [finding for form in FORMS if (finding := _worst(form, known, looks))]


def auroc(inside: Float[ndarray, "n"], outside: Float[ndarray, "m"]) -> float:
    """Probability that a value of `inside` exceeds one of `outside`; ties count half."""
    above, below = inside[:, None], outside[None]
    return float((above > below).mean() + (above == below).mean() / 2)


def rank_test(inside: Float[ndarray, "n"], outside: Float[ndarray, "m"]) -> Any:
    """Mann-Whitney U test (statistic and p-value)."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415  (slow to import)

    return mannwhitneyu(inside, outside, method="asymptotic")


def _worst(form: FileProperty, labels: ndarray, looks: Sequence[ImageInfo]) -> Issue | None:
    values = np.array([float(form.value(look)) for look in looks])
    if len(set(labels)) < 2 or len(set(values)) < 2:
        return None
    separated = []
    for label in sorted(set(labels.tolist())):
        inside, outside = values[labels == label], values[labels != label]
        area = auroc(inside, outside)
        if max(area, 1 - area) >= form.enough and _significant(inside, outside):
            separated.append((max(area, 1 - area), label))
    if not separated:
        return None
    area, label = max(separated, key=lambda pair: pair[0])
    ours, others = (form.say(_typical(values[chosen])) for chosen in _sides(labels, label))
    what = (
        f"the {form.name} of the images tells class {label!r} from the others ({ours} against "
        f"{others}; AUROC of this alone {area:.2f}): a shortcut"
    )
    return Issue("warning", None, None, what, FIX)


def _sides(labels: ndarray, label: str) -> tuple[Bool[ndarray, "n"], Bool[ndarray, "n"]]:
    return labels == label, labels != label


def _typical(values: Float[ndarray, "n"]) -> float:
    """Median; for a binary property, the mean."""
    return float(values.mean() if set(values) <= {0.0, 1.0} else np.median(values))


def _significant(inside: Float[ndarray, "n"], outside: Float[ndarray, "m"]) -> bool:
    if min(len(inside), len(outside)) < 2:
        return False
    constant = np.ptp(inside) == np.ptp(outside) == 0
    return bool(constant or rank_test(inside, outside).pvalue < CHANCE)
