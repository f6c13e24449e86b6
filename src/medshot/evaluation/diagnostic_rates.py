"""Diagnostic rates per class, one against the rest: sensitivity, specificity, PPV, NPV.

Each image has a class or not, and is predicted to have it or not.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import reliability_of
from medshot.evaluation.statistics import Interval

RATES: Mapping[str, str] = MappingProxyType(
    {
        "sensitivity": "fraction of the images with the class that are predicted to have it",
        "specificity": "fraction of the images without it that are predicted not to have it",
        "positive predictive value": "fraction of the images predicted to have it that do",
        "negative predictive value": "fraction of the images predicted not to have it that do not",
    }
)


def rates_of(found: OutOfFold) -> list[dict[str, Interval]]:
    """The `RATES` of each class, with bootstrap intervals over patients.

    A rate without images (of a class that is absent or never predicted) is NaN. The list is empty
    for tasks without class decisions per image.
    """
    decisions = found.task.decisions(found.decoded, found.y)
    if decisions is None:
        return []
    whole = _rates(np.ones((1, len(found.y)), np.int64), *decisions)
    drawn = _rates(
        np.stack([np.bincount(i, minlength=len(found.y)) for i in found.draws()]), *decisions
    )
    return [
        {name: found.around(float(whole[name][0, c]), drawn[name][:, c]) for name in RATES}
        for c in range(decisions[0].shape[1])
    ]


def calibration_error(found: OutOfFold) -> Interval | None:
    """Expected calibration error, a fraction; None unless one class per image is predicted.

    Source: as `medshot.evaluation.report.build.reliability_of` computes it.
    """
    if found.task.link != "softmax" or found.task.on_grid:
        return None
    drawn = [_error(found.decoded[index], found.y[index]) for index in found.draws()]
    return found.around(_error(found.decoded, found.y), np.array(drawn))


def _error(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    error = reliability_of(p, y).calibration_error
    return float("nan") if error is None else error


def _rates(
    times: Int[ndarray, "d n"], has: Bool[ndarray, "n k"], predicted: Bool[ndarray, "n k"]
) -> dict[str, Float[ndarray, "d k"]]:
    """Rates with each image counted `times` often, one row per draw."""
    hit, missed, alarm, clear = (
        times @ both.astype(np.int64)
        for both in (has & predicted, has & ~predicted, ~has & predicted, ~has & ~predicted)
    )
    shares = (hit, missed), (clear, alarm), (hit, alarm), (clear, missed)
    return {name: _share(*pair) for name, pair in zip(RATES, shares, strict=True)}


def _share(right: Int[ndarray, "d k"], wrong: Int[ndarray, "d k"]) -> Float[ndarray, "d k"]:
    total = right + wrong
    return np.divide(right, total, out=np.full(total.shape, np.nan), where=total > 0)
