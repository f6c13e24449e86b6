"""Means over episodes with their 95 % intervals, and paired differences."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core.errors import ShapeError

Z95 = 1.959964


@dataclass(frozen=True)
class Interval:
    """A mean over `n` episodes and its 95 % interval."""

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
        """`0.812 [0.741, 0.880]`; with the sign `+`, as a difference is read."""
        mean, low, high = (f"{value:{sign}.3f}" for value in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def mean_interval(values: Float[ndarray, "n"]) -> Interval:
    """The mean of `values`, plus and minus 1.96 standard errors; values that are NaN left out.

    It speaks of new episodes from the same images, not of new patients.
    """
    kept = values[np.isfinite(values)]
    if len(kept) < 2:
        mean = float(kept.mean()) if len(kept) else float("nan")
        return Interval(mean, float("nan"), float("nan"), len(kept))
    mean, half = float(kept.mean()), Z95 * float(kept.std(ddof=1)) / len(kept) ** 0.5
    return Interval(mean, mean - half, mean + half, len(kept))


def paired(first: Float[ndarray, "n"], second: Float[ndarray, "m"]) -> Interval:
    """The mean of `first - second`, episode by episode: both must be of the same episodes."""
    if len(first) != len(second):
        raise ShapeError(
            f"{len(first)} and {len(second)} episodes cannot be paired: use the same list for both."
        )
    return mean_interval(first - second)


def nan_to_null(value: Any) -> Any:
    """`value` with null for what is not a number: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: nan_to_null(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
