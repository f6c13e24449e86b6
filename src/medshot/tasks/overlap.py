"""How well masks lie over each other. Higher is better, all are in [0, 1].

They read counts of sites, a row an image and a column a class: those where claim and truth agree,
those claimed, those true. Class 0, the background, is not judged: on most images it is nearly all.
A class that is neither on an image nor claimed there says nothing, and is left out of the mean; one
that is claimed where it is not has overlap 0. An image on which nothing is marked and nothing
claimed is right: 1.
"""

from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from medshot.core.task import Metric

Counts = Int[ndarray, "n k"]


def dice(both: Counts, claimed: Counts, true: Counts, *others: ndarray) -> float:
    """2 |A and B| / (|A| + |B|): the mean over the classes of an image, then over images.

    Source: Dice 1945, Ecology 26, 297-302.
    """
    del others
    return float(by_image(both, claimed, true).mean())


def intersection_over_union(both: Counts, claimed: Counts, true: Counts, *others: ndarray) -> float:
    """|A and B| / |A or B|, in the same order: Jaccard 1912, New Phytologist 11, 37-50."""
    del others
    return float(_mean_of_classes(_share(both, claimed + true - both)).mean())


def overlaps(
    claim: Int[ndarray, "n s"], truth: Int[ndarray, "n s"], k: int
) -> tuple[Counts, Counts, Counts]:
    """The three counts, over sites whose truth is known (not below 0)."""
    known = truth >= 0
    claims = [(claim == c) & known for c in range(k)]
    truths = [truth == c for c in range(k)]
    both = [a & b for a, b in zip(claims, truths, strict=True)]
    found = (np.stack([each.sum(1) for each in sites], 1) for sites in (both, claims, truths))
    return next(found), next(found), next(found)


def by_image(both: Counts, claimed: Counts, true: Counts) -> Float[ndarray, "n"]:
    """The Dice score of each image."""
    return _mean_of_classes(_share(2 * both, claimed + true))


def _share(part: Counts, whole: Counts) -> Float[ndarray, "n k"]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean_of_classes(shares: Float[ndarray, "n k"]) -> Float[ndarray, "n"]:
    """The mean of an image over its classes but background; 1 where there are none."""
    judged = np.isfinite(shares[:, 1:])
    total, count = np.where(judged, shares[:, 1:], 0).sum(1), judged.sum(1)
    return np.divide(total, count, out=np.ones(len(total)), where=count > 0)


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"Dice": dice, "IoU": intersection_over_union}
)
