"""Average precision and FROC of detections. Higher is better, all in [0, 1].

They read detections, a row an image, best first: score, class (-1 fills up), whether the detection
overlaps a true box of its class (intersection over union of 0.5), whether its center is in one; and
how many true boxes of each class there are. A true box is matched once (greedily, by score): a
second detection of it is wrong. A class with no true box is left out of the mean over classes.
"""

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from medshot.core.task import Metric
from medshot.tasks.boxes import NO_BOX, overlaps

Scores = Float[ndarray, "n d"]
Labels = Int[ndarray, "n d"]
Hits = Bool[ndarray, "n d"]
Counts = Int[ndarray, "n k"]

SCORE_THRESHOLD = 0.5  # detections from this score on are shown to the user
RATES = tuple(2.0**i for i in range(-3, 4))  # false positives an image, from 1/8 to 8 (LUNA16)
RECALLS = np.linspace(0, 1, 101)


def ap50(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> float:
    """AP at an IoU of 0.5: area under the precision-recall curve, the mean over classes.

    Source: as COCO computes it (Lin et al. 2014, arXiv:1405.0312): the mean at 101 recalls of the
    monotone (non-increasing) precision envelope.
    """
    del centred
    return _mean(_area(hit, total) for hit, total in _ranked(scores, labels, over, true))


def froc(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> float:
    """FROC score: sensitivity at 1/8, 1/4, ..., 8 false positives an image, the mean of the seven.

    A true box is found if the center of a detection is in it. False positives are counted for each
    class. Source: the mean over the seven rates is that of LUNA16 (Setio et al. 2017,
    doi:10.1016/j.media.2017.06.015).
    """
    del over
    pairs = _ranked(scores, labels, centred, true)
    return _mean(_sensitivity(hit, total, len(true)) for hit, total in pairs)


def f1(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> float:
    """F1 of the detections that are shown (see `SCORE_THRESHOLD`), the mean over classes."""
    del centred
    seen = np.where(scores >= SCORE_THRESHOLD, labels, -1)
    pairs = _ranked(scores, seen, over, true)
    return _mean(2 * hit.sum() / (len(hit) + total) for hit, total in pairs)


def by_image(scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts) -> ndarray:
    """F1 of each image over all classes; 1 for an image with no box and no detection."""
    del centred
    seen = (scores >= SCORE_THRESHOLD) & (labels >= 0)
    both, either = (seen & over).sum(1), seen.sum(1) + true.sum(1)
    return np.divide(2 * both, either, out=np.ones(len(true)), where=either > 0)


def by_class(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts
) -> dict[str, Float[ndarray, "k"]]:
    """Each metric for each class; NaN for a class with no true box."""
    alone = [np.where(np.arange(true.shape[1]) == c, true, 0) for c in range(true.shape[1])]
    return {
        name: np.array([metric(scores, labels, over, centred, one) for one in alone])
        for name, metric in METRICS.items()
    }


def _ranked(
    scores: Scores, labels: Labels, hits: Hits, true: Counts
) -> Iterator[tuple[Bool[ndarray, "c"], int]]:
    """For each class with true boxes: matches of its detections, by score, and the box count."""
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


OVERLAP = 0.5


def judged(
    found: Float[ndarray, "n d 6"], true: Float[ndarray, "n m 5"], k: int
) -> tuple[ndarray, ...]:
    """Match detections to true boxes: the inputs of the metrics, a row an image."""
    found = found[:, : (found[..., 4] != NO_BOX).sum(1).max(initial=0)]  # without padding
    labels, scores = found[..., 4].astype(np.int64), found[..., 5]
    counts = np.stack([(true[..., 4] == c).sum(1) for c in range(k)], 1)
    over, centred = np.zeros(labels.shape, bool), np.zeros(labels.shape, bool)
    shared = overlaps(torch.from_numpy(found[..., :4]), torch.from_numpy(true[..., :4]).double())
    for i, (claims, boxes) in enumerate(zip(found, true, strict=True)):
        fits = (claims[:, None, 4] == boxes[None, :, 4]) & (claims[:, None, 4] != NO_BOX)
        share = shared[i].numpy()
        over[i] = _greedy(np.where(fits & (share >= OVERLAP), share, -1))
        centred[i] = _greedy(np.where(fits, _nearness(claims, boxes), -1))
    return scores, labels, over, centred, counts


def _nearness(claims: Float[ndarray, "d 6"], boxes: Float[ndarray, "m 5"]) -> Float[ndarray, "d m"]:
    """Centrality of a detection: 1 at the center of a box, 0 at its border, negative outside."""
    middle, half = (boxes[:, :2] + boxes[:, 2:4]) / 2, (boxes[:, 2:4] - boxes[:, :2]) / 2
    away = np.abs((claims[:, None, :2] + claims[:, None, 2:4]) / 2 - middle)
    return 1 - (away / np.maximum(half, 1e-12)).max(-1)


def _greedy(fit: Float[ndarray, "d m"]) -> Bool[ndarray, "d"]:
    """Greedy matching: each detection, by score, takes the best fitting box that is left."""
    fit, hit = fit.copy(), np.zeros(len(fit), bool)
    for d, row in enumerate(fit):
        if row.size and row.max() >= 0:
            hit[d] = True
            fit[:, row.argmax()] = -1
    return hit
