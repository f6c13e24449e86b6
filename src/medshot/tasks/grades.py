"""How well grades are told, where a near miss is better than a far one."""

from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from medshot.core.task import Metric


def median_grade(p: Float[ndarray, "n k"]) -> Int[ndarray, "n"]:
    """The first grade that, with those below it, has half of the probability or more.

    Of all answers the median is the nearest on average, in grades.
    """
    return (p.cumsum(1)[:, :-1] < 0.5).sum(1)


def quadratic_weighted_kappa(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """1 less the squared misses as a share of those that answers drawn at random would make.

    1 is perfect, 0 is chance, less than 0 is worse. NaN where neither answers nor targets differ.

    Source: Cohen 1968, doi:10.1037/h0026256, with squared distances as weights.
    """
    said = median_grade(p)
    expected = np.square(said).mean() + np.square(y).mean() - 2 * said.mean() * y.mean()
    return float(1 - np.square(said - y).mean() / expected) if expected > 0 else float("nan")


def balanced_accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """The mean over grades of the share of its images that get just this grade."""
    right = median_grade(p) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def mean_error(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """How many grades an answer is off, on average. Less is better."""
    return float(np.abs(median_grade(p) - y).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {
        "quadratic weighted kappa": quadratic_weighted_kappa,
        "balanced accuracy": balanced_accuracy,
        "mean absolute error (grades)": mean_error,
    }
)
