"""How far numbers are from the true ones: each of k numbers an image by itself, then the mean."""

from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core.task import Metric
from medshot.tasks.ranks import ranks

MEAN_ERROR = "mean absolute error (own unit)"


def r2(said: Float[ndarray, "n k"], true: Float[ndarray, "n k"]) -> float:
    """The share of the variance that is explained: 1 is perfect, 0 the mean of these targets.

    It is below 0 for answers that are worse than that mean, and NaN where no target differs from
    another.
    """
    around = np.square(true - true.mean(0)).sum(0)
    left = np.square(true - said).sum(0)
    shares = np.divide(left, around, out=np.full_like(around, np.nan), where=around > 0)
    return float(1 - shares.mean())


def spearman(said: Float[ndarray, "n k"], true: Float[ndarray, "n k"]) -> float:
    """The correlation of ranks: whether the order is right, in whatever unit.

    0 where all answers are the same, which is no order; NaN where all targets are.
    """
    a, b = (order - order.mean(0) for order in (ranks(said), ranks(true)))
    length = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    found = np.divide((a * b).sum(0), length, out=np.zeros_like(length), where=length > 0)
    return float(np.where(np.ptp(true, axis=0) > 0, found, np.nan).mean())


def mean_absolute_error(said: Float[ndarray, "n k"], true: Float[ndarray, "n k"]) -> float:
    """How far off an answer is, on average, in the unit of the targets. Less is better."""
    return float(np.abs(said - true).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"R2": r2, "Spearman correlation": spearman, MEAN_ERROR: mean_absolute_error}
)
