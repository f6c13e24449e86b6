"""Which claimed boxes are right: each true box is given to one claim."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from medshot.tasks.boxes import NO_BOX, overlaps

OVERLAP = 0.5


def judged(
    found: Float[ndarray, "n d 6"], true: Float[ndarray, "n m 5"], k: int
) -> tuple[ndarray, ...]:
    """What the metrics read (see `medshot.tasks.average_precision`), a row an image."""
    found = found[:, : (found[..., 4] != NO_BOX).sum(1).max(initial=0)]  # the others fill up
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
    """1 at the centre of a box, 0 at its border, less beyond it."""
    middle, half = (boxes[:, :2] + boxes[:, 2:4]) / 2, (boxes[:, 2:4] - boxes[:, :2]) / 2
    away = np.abs((claims[:, None, :2] + claims[:, None, 2:4]) / 2 - middle)
    return 1 - (away / np.maximum(half, 1e-12)).max(-1)


def _greedy(fit: Float[ndarray, "d m"]) -> Bool[ndarray, "d"]:
    """Claim after claim, the best first, takes the true box that fits best of those left."""
    fit, hit = fit.copy(), np.zeros(len(fit), bool)
    for d, row in enumerate(fit):
        if row.size and row.max() >= 0:
            hit[d] = True
            fit[:, row.argmax()] = -1
    return hit
