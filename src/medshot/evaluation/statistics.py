"""Means over episodes with 95% confidence intervals, and paired differences."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core import ShapeError, is_fraction

Z95 = 1.959964  # 97.5% quantile of the standard normal distribution

INTERVALS = "with 95 % intervals over patients (images, where none are known)"


@dataclass(frozen=True)
class Interval:
    """A mean over `n` episodes (or patients) and its 95% interval; NaN where there is none."""

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
        return self._shown(1, f"{sign}.3f")

    def text(self, metric: str) -> str:
        """As a cell of a table: `81.0 [75.2, 86.1]`, a share in percent, else in its unit."""
        if not math.isfinite(self.mean):
            return "undefined"
        by, digits = (100, 1) if is_fraction(metric) else (1, 2)
        return self._shown(by, f".{digits}f")

    def whole_percent(self) -> str:
        """A share in whole percent, `81 [75, 86]`; a dash where it is undefined."""
        if not math.isfinite(self.mean):
            return "-"
        return self._shown(100, ".0f")

    def _shown(self, by: int, form: str) -> str:
        mean, low, high = (f"{by * v:{form}}" for v in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]" if math.isfinite(self.low + self.high) else f"{mean} [-]"

    def plus_minus(self, metric: str, sign: str = "") -> str:
        """As a cell of a table: `81.02 ± 0.45`, a share in percent, else in its unit."""
        by = 100 if is_fraction(metric) else 1
        mean = round(by * self.mean, 2) + 0.0  # no minus before a zero
        return f"{mean:{sign}.2f} ± {by * self.half:.2f}"


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


def with_unit(metric: str) -> str:
    """The name of a metric as the head of a table: `balanced accuracy %`, `RMSE`."""
    return f"{metric} %" if is_fraction(metric) else metric


def counted(n: int, unit: str) -> str:
    """`1 image`, `12 images`."""
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"
