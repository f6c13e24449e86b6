"""How far the borders of masks lie apart, in millimetres."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray


def surface_distances(
    claim: Int[ndarray, "n *s"], truth: Int[ndarray, "n *s"], k: int, spacing: Sequence[float]
) -> Float[ndarray, "n k"]:
    """The mean distance in mm between the two borders of each class on each image.

    From every site of either border to the nearest of the other, all of them averaged: the average
    symmetric surface distance (Heimann et al. 2009, IEEE Trans. Med. Imaging 28, 1251-1265). NaN
    for background, and where a class is missing from the claim or from the truth. Sites whose truth
    is not known (below 0) belong to no class.
    """
    known = truth >= 0
    found = np.full((len(truth), k), np.nan)
    for i in range(len(truth)):
        for c in range(1, k):
            a, b = (claim[i] == c) & known[i], truth[i] == c
            if a.any() and b.any():
                found[i, c] = _between(_border(a), _border(b), spacing)
    return found


def mean_surface_distance(
    both: ndarray, claimed: ndarray, true: ndarray, distances: Float[ndarray, "n k"]
) -> float:
    """The mean over the classes that are both there and claimed; NaN where there are none."""
    del both, claimed, true
    there = distances[np.isfinite(distances)]
    return float(there.mean()) if there.size else float("nan")


def _border(mask: Bool[ndarray, "*s"]) -> Bool[ndarray, "*s"]:
    from scipy.ndimage import binary_erosion  # noqa: PLC0415  (slow to import)

    return mask & ~binary_erosion(mask)


def _between(a: Bool[ndarray, "*s"], b: Bool[ndarray, "*s"], spacing: Sequence[float]) -> float:
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (slow to import)

    to_a, to_b = (np.asarray(distance_transform_edt(~each, sampling=spacing)) for each in (a, b))
    return float(np.concatenate([to_b[a], to_a[b]]).mean())
