"""Means over episodes with 95% confidence intervals, and paired differences."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core.errors import ShapeError

Z95 = 1.959964  # 97.5% quantile of the standard normal distribution


@dataclass(frozen=True)
class Interval:
    """A mean over `n` episodes and its 95% interval."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.half:.4f}"

    def bracketed(self, sign: str = "") -> str:
        """Format as `0.812 [0.741, 0.880]`; with `+`, as a signed difference."""
        mean, low, high = (f"{value:{sign}.3f}" for value in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def mean_interval(values: Float[ndarray, "n"]) -> Interval:
    """Mean of `values` plus and minus 1.96 standard errors, ignoring NaN.

    The interval is for new episodes from the same images, not for new patients.
    """
    kept = values[np.isfinite(values)]
    if len(kept) < 2:
        mean = float(kept.mean()) if len(kept) else float("nan")
        return Interval(mean, float("nan"), float("nan"), len(kept))
    mean, half = float(kept.mean()), Z95 * float(kept.std(ddof=1)) / len(kept) ** 0.5
    return Interval(mean, mean - half, mean + half, len(kept))


def paired(first: Float[ndarray, "n"], second: Float[ndarray, "m"]) -> Interval:
    """Mean of `first - second` over the same episodes, with its interval."""
    if len(first) != len(second):
        raise ShapeError(
            f"{len(first)} and {len(second)} episodes cannot be paired: use the same list for both."
        )
    return mean_interval(first - second)


def nan_to_null(value: Any) -> Any:
    """Replace NaN and infinities by None: JSON has neither."""
    if isinstance(value, dict):
        return {name: nan_to_null(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
