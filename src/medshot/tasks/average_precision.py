"""How well boxes are found. Higher is better, all are in [0, 1].

They read claims, a row an image, best first: score, class (-1 fills up), whether the claim lies
over a true box of its class (intersection over union of 0.5), whether its centre is in one; and
how many true boxes of each class there are. A true box is found once: who claims it again is wrong.
A class with no true box says nothing, and is left out of the mean over classes.
"""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from medshot.core.task import Metric

Scores = Float[ndarray, "n d"]
Labels = Int[ndarray, "n d"]
Hits = Bool[ndarray, "n d"]
Counts = Int[ndarray, "n k"]

SURE = 0.5  # a claim of this score is one that a user gets to see
RATES = tuple(2.0**i for i in range(-3, 4))  # false claims an image, from 1/8 to 8
RECALLS = np.linspace(0, 1, 101)


def ap50(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> float:
    """The area under precision and recall at an overlap of 0.5, the mean over classes.

    Source: as COCO computes it (Lin et al. 2014, arXiv:1405.0312): precision made to fall only, its
    mean at 101 recalls.
    """
    del centred
    return _mean(_area(hit, total) for hit, total in _ranked(scores, labels, over, true))


def froc(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> float:
    """The share of true boxes with a claim's centre in them, the mean over 1/8 to 8 false claims.

    False claims are a class and an image. Source: the mean over the seven rates is that of LUNA16
    (Setio et al. 2017, doi:10.1016/j.media.2017.06.015).
    """
    del over
    pairs = _ranked(scores, labels, centred, true)
    return _mean(_sensitivity(hit, total, len(true)) for hit, total in pairs)


def f1(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> float:
    """2 hits / (claims + true boxes) of the claims that a user sees, the mean over classes."""
    del centred
    seen = np.where(scores >= SURE, labels, -1)
    pairs = _ranked(scores, seen, over, true)
    return _mean(2 * hit.sum() / (len(hit) + total) for hit, total in pairs)


def by_image(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> ndarray:
    """The F1 of each image over all classes together; 1 where nothing is and nothing is claimed."""
    del centred
    seen = (scores >= SURE) & (labels >= 0)
    both, either = (seen & over).sum(1), seen.sum(1) + true.sum(1)
    return np.divide(2 * both, either, out=np.ones(len(true)), where=either > 0)


def by_class(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts
) -> dict[str, Float[ndarray, "k"]]:
    """Each metric of each class alone; NaN for a class with no true box."""
    alone = [np.where(np.arange(true.shape[1]) == c, true, 0) for c in range(true.shape[1])]
    return {
        name: np.array([metric(scores, labels, over, centred, one) for one in alone])
        for name, metric in METRICS.items()
    }


def _ranked(
    scores: Scores, labels: Labels, hits: Hits, true: Counts
) -> Iterator[tuple[Bool[ndarray, "c"], int]]:
    """For each class that is there: whether its claims hit, the best first, and its true boxes."""
    for c in np.flatnonzero(true.sum(0)):
        own = labels == c
        order = np.argsort(-scores[own], kind="stable")
        yield hits[own][order], int(true[:, c].sum())


def _area(hit: Bool[ndarray, "c"], total: int) -> float:
    found = np.cumsum(hit)
    precision = found / np.arange(1, len(hit) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(found / total, RECALLS, side="left")
    return float(np.append(falling, 0.0)[at].mean())


def _sensitivity(hit: Bool[ndarray, "c"], total: int, images: int) -> float:
    found, false = np.cumsum(hit), np.cumsum(~hit)
    claims = [int(np.searchsorted(false, rate * images, side="right")) for rate in RATES]
    return float(np.mean([found[c - 1] / total if c else 0.0 for c in claims]))


def _mean(values: Iterator[float]) -> float:
    listed = list(values)
    return float(np.mean(listed)) if listed else float("nan")


METRICS: MappingProxyType[str, Metric] = MappingProxyType({"AP50": ap50, "FROC": froc, "F1": f1})
