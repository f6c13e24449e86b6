"""Confounders: file format, size or bit depth that predicts the class.

A learner takes the easiest way: if all images of one class are larger, or of another depth, it
need not look at what is on them, and its score says nothing about the next hospital.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from medshot.data.checks.issue import Finding
from medshot.data.io.image import decode
from medshot.data.io.registry import DICOM, IMAGES, format_in, image_format


@dataclass(frozen=True)
class Look:
    """Form of an image: what a learner could go by instead of what is on it."""

    height: int
    width: int
    bits: int  # a value
    colour: bool  # really: three equal channels are grey
    kind: str  # by its content: the first suffix of the format, .png or .jpg
    digest: str  # of its pixels

    def named(self, path: Path) -> bool:
        """Whether `path` has the suffix of this kind."""
        known = IMAGES.all()
        named = known.get(path.suffix.lower())
        if named is None and self.kind == DICOM:  # DICOM files are often called 1.2.840.1
            return True
        return named is known.get(self.kind)


def look(path: Path) -> Look:
    """Open `path`. Raises `DataError` where it cannot be used."""
    pixels = decode(path)
    height, width, channels = pixels.shape
    colour = channels == 3 and bool((pixels != pixels[:, :, :1]).any())
    seen = pixels if colour else pixels[:, :, :1]
    kind = format_in(path, IMAGES) or image_format(path)
    form = f"{seen.shape} {pixels.dtype}".encode()
    return Look(
        height,
        width,
        1 if pixels.dtype == bool else 8 * pixels.dtype.itemsize,
        colour,
        kind.suffixes[0] if kind else path.suffix.lower(),
        hashlib.sha256(form + np.ascontiguousarray(seen).tobytes()).hexdigest(),
    )


CHANCE = 0.01  # by which a difference may be one of chance and is still told
MEND = "Make all classes in one way (one source, one export), or scores will be too good."


@dataclass(frozen=True)
class Form:
    """A property of an image file, and from which AUROC on it betrays a class."""

    name: str
    value: Callable[[Look], float]
    enough: float
    say: Callable[[float], str]


FORMS = (
    Form("size", lambda look: max(look.height, look.width), 0.8, lambda v: f"long side {v:.0f}"),
    Form("shape", lambda look: look.width / look.height, 0.8, lambda v: f"width/height {v:.2f}"),
    Form("depth", lambda look: look.bits, 0.6, lambda v: f"{v:.0f} bits"),
    Form("colour", lambda look: look.colour, 0.6, lambda v: f"{v:.0%} in colour"),
    Form("file kind", lambda look: look.kind == ".jpg", 0.6, lambda v: f"{v:.0%} JPEG"),
)


def shortcuts(labels: Sequence[str], looks: Sequence[Look]) -> list[Finding]:
    """A warning for each property by which a class can be told from the others."""
    known = np.array(labels)
    return [finding for form in FORMS if (finding := _worst(form, known, looks))]


def auroc(inside: Float[ndarray, "n"], outside: Float[ndarray, "m"]) -> float:
    """How often a value of the first is above one of the second; ties count half."""
    return rank_test(inside, outside).statistic / len(inside) / len(outside)


def rank_test(inside: Float[ndarray, "n"], outside: Float[ndarray, "m"]) -> Any:
    """The statistic U of Mann and Whitney, and how often chance alone gives one as far off."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415  (slow to import)

    return mannwhitneyu(inside, outside, method="asymptotic")


def _worst(form: Form, labels: ndarray, looks: Sequence[Look]) -> Finding | None:
    values = np.array([float(form.value(look)) for look in looks])
    if len(set(labels)) < 2 or len(set(values)) < 2:
        return None
    telling = []
    for label in sorted(set(labels.tolist())):
        inside, outside = values[labels == label], values[labels != label]
        area = auroc(inside, outside)
        if max(area, 1 - area) >= form.enough and _no_chance(inside, outside):
            telling.append((max(area, 1 - area), label))
    if not telling:
        return None
    area, label = max(telling, key=lambda pair: pair[0])
    ours, others = (form.say(_typical(values[chosen])) for chosen in _sides(labels, label))
    what = (
        f"the {form.name} of the images tells class {label!r} from the others ({ours} against "
        f"{others}; AUROC of this alone {area:.2f}): a shortcut"
    )
    return Finding("warning", None, None, what, MEND)


def _sides(labels: ndarray, label: str) -> tuple[Bool[ndarray, "n"], Bool[ndarray, "n"]]:
    return labels == label, labels != label


def _typical(values: Float[ndarray, "n"]) -> float:
    """The median; the mean of a property that is there or not."""
    return float(values.mean() if set(values) <= {0.0, 1.0} else np.median(values))


def _no_chance(inside: Float[ndarray, "n"], outside: Float[ndarray, "m"]) -> bool:
    if min(len(inside), len(outside)) < 2:
        return False
    constant = np.ptp(inside) == np.ptp(outside) == 0
    return bool(constant or rank_test(inside, outside).pvalue < CHANCE)
