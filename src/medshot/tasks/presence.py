"""How well it is told which labels are on an image: each label by itself, then the mean."""

from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from medshot.core.task import Metric
from medshot.tasks.ranks import ranks

LIKELY = 0.5  # a label with a higher probability is said to be there


def aurocs(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> Float[ndarray, "k"]:
    """The area under the ROC curve of each label; NaN where all images have it, or none.

    By the rank sum (Hanley & McNeil 1982, Radiology 143, 29-36).
    """
    there = y.sum(0)
    pairs = there * (len(y) - there)
    above = (ranks(p) * y).sum(0) - there * (there + 1) / 2
    return np.divide(above, pairs, out=np.full(len(there), np.nan), where=pairs > 0)


def average_precisions(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> Float[ndarray, "k"]:
    """The mean, over the images with a label, of the precision at their rank; NaN without any.

    Images of equal probability share the rank of the last of them.
    """
    return np.array([_average_precision(p[:, c], y[:, c]) for c in range(y.shape[1])])


def f1_scores(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> Float[ndarray, "k"]:
    """2 |both| / (|claimed| + |true|) of each label; NaN where it is neither claimed nor true."""
    claimed = p > LIKELY
    both, either = (claimed & (y == 1)).sum(0), claimed.sum(0) + y.sum(0)
    return np.divide(2 * both, either, out=np.full(len(either), np.nan), where=either > 0)


def macro_auroc(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> float:
    """The mean over labels; NaN if all images have one, or none: sets could not be compared."""
    return float(aurocs(p, y).mean())


def mean_average_precision(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> float:
    """The mean over labels; NaN if one is on no image."""
    return float(average_precisions(p, y).mean())


def macro_f1(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> float:
    """The mean over labels that are claimed or true; 1 where there are none of either."""
    scores = f1_scores(p, y)
    judged = scores[np.isfinite(scores)]
    return float(judged.mean()) if len(judged) else 1.0


def _average_precision(p: Float[ndarray, "n"], y: Int[ndarray, "n"]) -> float:
    if not y.any():
        return float("nan")
    own = np.sort(ranks(-p, ties="max")[y == 1])
    return float((np.searchsorted(own, own, side="right") / own).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {
        "macro AUROC": macro_auroc,
        "mean average precision": mean_average_precision,
        "macro F1": macro_f1,
    }
)
