"""Ranks of numbers, by SciPy, whose statistics take a second to import: only who ranks waits."""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def ranks(
    values: Float[ndarray, "n *k"], ties: Literal["average", "max"] = "average"
) -> Float[ndarray, "n *k"]:
    """The rank of each number in its column, 1 for the smallest; equal numbers share one."""
    from scipy.stats import rankdata  # noqa: PLC0415  (slow to import)

    return np.asarray(rankdata(values, method=ties, axis=0), np.float64)
