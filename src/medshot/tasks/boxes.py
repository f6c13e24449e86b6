"""Boxes, and their dense encoding: a heatmap of centers for each class, and maps of box sizes.

A box is a row `xmin ymin xmax ymax class`, as fractions of the image's width and height, so that it
is independent of the grid. Images have unequal numbers of boxes: rows of class -1 are padding.

Source: Zhou, Wang & Kraehenbuehl 2019, arXiv:1904.07850 (CenterNet). Where we differ: the Gaussian
around a center is proportional to the box in each direction, and sizes are regressed at all sites
near a center, both as in Liu et al. 2020, arXiv:1909.00700 (TTFNet); the grid may be that of the
image, so that no offset is needed; and duplicates are removed by non-maximum suppression as well.

Average precision and FROC of detections. Higher is better, all in [0, 1].

They read detections, a row an image, best first: score, class (-1 fills up), whether the detection
overlaps a true box of its class (intersection over union of 0.5), whether its center is in one; how
many true boxes of each class there are; whether it overlaps one at each of 0.5, 0.55, ..., 0.95. A
true box is matched once (greedily, by score): a second detection of it is wrong. A class with no
true box is left out of the mean over classes.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from medshot.core import Metric

NO_BOX = -1  # class of a padding row
MOST = 200  # detections an image at most
SPREAD = 0.09  # standard deviation as a fraction of the side: alpha / 6, TTFNet's alpha is 0.54
SAME = 0.5  # IoU threshold of non-maximum suppression


def paint(
    boxes: Float[Tensor, "n m 5"], k: int, grid: tuple[int, int], like: Tensor
) -> tuple[Float[Tensor, "n k h w"], Float[Tensor, "n 2 h w"]]:
    """Encode boxes as a heatmap in [0, 1] for each class, 1 at centers, and maps of sizes.

    A size is that of the nearest box, 0 where no box is near. Both maps have the device and dtype
    of `like`.
    """
    n, (h, w) = len(boxes), grid
    heat, sizes = torch.zeros(n, k, h, w).to(like), torch.zeros(n, 2, h, w).to(like)
    highest = torch.zeros(n, 1, h, w).to(like)
    for row in boxes.to(like).unbind(1):
        real = row[:, 4] != NO_BOX
        if not real.any():
            continue
        own = F.one_hot(row[:, 4].long().clamp(min=0), k).to(like) * real[:, None].to(like)
        sides = (row[:, 2:4] - row[:, :2])[:, :, None, None]
        bell = _bell(row[:, 1], row[:, 3], h)[:, :, None] * _bell(row[:, 0], row[:, 2], w)[:, None]
        bell = bell[:, None] * real[:, None, None, None].to(like)
        heat = torch.maximum(heat, own[:, :, None, None] * bell)
        sizes = torch.where(bell > highest, sides, sizes)
        highest = torch.maximum(highest, bell)
    return heat, sizes


def find(
    heat: Float[Tensor, "n k h w"], sizes: Float[Tensor, "n 2 h w"], least: float
) -> Float[Tensor, "n d 6"]:
    """Decode the boxes at the peaks of the heatmaps, by score: box, class, score.

    A peak is a maximum of its 3 x 3 neighborhood and is at least `least`. Rows of class -1 are
    padding.
    """
    k, h, w = heat.shape[1:]
    peaks = heat * (F.max_pool2d(heat, 3, stride=1, padding=1) == heat)
    scores, place = peaks.flatten(1).topk(min(MOST, k * h * w))
    label, site = place // (h * w), place % (h * w)
    centre = torch.stack([(site % w + 0.5) / w, (site // w + 0.5) / h], -1)
    half = sizes.flatten(2).gather(2, site[:, None].expand(-1, 2, -1)).mT / 2
    corners = torch.cat([centre - half, centre + half], -1).clamp(0, 1)
    kept = first_of_same(corners, label) & (scores >= least)
    label = torch.where(kept, label, NO_BOX)
    found = torch.cat([corners, label[..., None].to(heat), scores[..., None]], -1)
    order = (~kept).int().argsort(dim=1, stable=True)  # kept boxes first, still by score
    return found.gather(1, order[..., None].expand_as(found))


def pairwise_iou(
    first: Float[Tensor, "*n d 4"], second: Float[Tensor, "*n m 4"]
) -> Float[Tensor, "*n d m"]:
    """Pairwise intersection over union."""
    both, a, b = _areas(first, second)
    return both / (a + b - both).clamp(min=1e-12)


def pairwise_inside(
    first: Float[Tensor, "*n d 4"], second: Float[Tensor, "*n m 4"]
) -> Float[Tensor, "*n d m"]:
    """Pairwise intersection over the smaller of the two: 1 where one box lies in the other."""
    both, a, b = _areas(first, second)
    return both / torch.minimum(a, b).clamp(min=1e-12)


def _areas(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Areas of the pairwise intersections, of the first and of the second boxes."""
    a, b = first[..., :, None, :], second[..., None, :, :]
    sides = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(0)
    return sides.prod(-1), (a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)


def _bell(low: Float[Tensor, "n"], high: Float[Tensor, "n"], cells: int) -> Float[Tensor, "n s"]:
    """Gaussian along one axis, 1 at the cell that holds the center."""
    middle = ((low + high) / 2 * cells).floor().clamp(0, cells - 1)
    deviation = ((high - low) * cells * SPREAD).clamp(min=0.5)
    at = torch.arange(cells).to(low)
    return torch.exp(-(((at - middle[:, None]) / deviation[:, None]) ** 2) / 2)


def first_of_same(
    corners: Float[Tensor, "n d 4"], label: Int[Tensor, "n d"], at: float = SAME
) -> Bool[Tensor, "n d"]:
    """Non-maximum suppression within each class at an IoU of `at`; boxes are sorted by score."""
    return first_of((pairwise_iou(corners, corners) > at) & (label[:, :, None] == label[:, None]))


def first_of(same: Bool[Tensor, "n d d"]) -> Bool[Tensor, "n d"]:
    """Which of the detections, the best first, are the same as no better one that is kept."""
    kept = same.new_ones(same.shape[:2])
    for i in range(same.shape[1] - 1):
        kept[:, i + 1 :] &= ~(same[:, i, i + 1 :] & kept[:, i : i + 1])
    return kept


NEAR = 0.5  # heatmap value from which a site counts as at a center


def site_labels(
    boxes: Float[Tensor, "n m 5"], k: int, grid: tuple[int, int]
) -> tuple[Int[Tensor, "s"], Int[Tensor, "s"]]:
    """Flat indices into `n h w` and site labels; each of the k classes has at least one site.

    Label c is near the center of a box of class c, k + c elsewhere in such a box, and 2 k in no
    box. The rims have labels of their own because they look most like centers. A site near centers
    of two classes is listed twice.
    """
    heat = paint(boxes, k, grid, like=boxes)[0]
    inside = torch.stack([_inside(boxes, c, grid) for c in range(k)], 1)
    rim = torch.where(inside.any(1), k + inside.int().argmax(1), 2 * k)
    near = heat > NEAR
    away = (~near.any(1)).flatten().nonzero().flatten()
    centres = [near[:, c].flatten().nonzero().flatten() for c in range(k)]
    named = [torch.full_like(where, c) for c, where in enumerate(centres)]
    return torch.cat([*centres, away]), torch.cat([*named, rim.flatten()[away]])


def _inside(boxes: Float[Tensor, "n m 5"], c: int, grid: tuple[int, int]) -> Bool[Tensor, "n h w"]:
    """Whether the center of a site is in a box of class `c`."""
    y, x = ((torch.arange(cells).to(boxes) + 0.5) / cells for cells in grid)
    xmin, ymin, xmax, ymax, label = boxes[..., None].unbind(2)  # each n m 1
    down, across = (y >= ymin) & (y < ymax) & (label == c), (x >= xmin) & (x < xmax)
    return torch.einsum("nmh,nmw->nhw", down.float(), across.float()) > 0


def middles(
    boxes: Float[Tensor, "n m 5"], grid: tuple[int, int]
) -> tuple[Int[Tensor, "b"], Int[Tensor, "b"]]:
    """Flat index into `n h w` of the site at the center of each box, and the box's class."""
    (h, w), real = grid, boxes[..., 4] != NO_BOX
    centre = (boxes[..., :2] + boxes[..., 2:4]) / 2
    x, y = ((centre[..., i] * cells).long().clamp(0, cells - 1) for i, cells in ((0, w), (1, h)))
    image = torch.arange(len(boxes)).to(boxes.device)[:, None]
    return ((image * h + y) * w + x)[real], boxes[..., 4][real].long()


def mean_sizes(boxes: Float[Tensor, "n m 5"], k: int) -> Float[Tensor, "k 2"]:
    """Mean log width and log height of each class."""
    logs = (boxes[..., 2:4] - boxes[..., :2]).clamp(min=1e-6).log()
    return torch.stack([logs[boxes[..., 4] == c].mean(0) for c in range(k)])


Scores = Float[ndarray, "n d"]
Labels = Int[ndarray, "n d"]
Hits = Bool[ndarray, "n d"]
Counts = Int[ndarray, "n k"]
Strict = Bool[ndarray, "n d t"]

SCORE_THRESHOLD = 0.5  # detections from this score on are shown to the user, and counted
WRITTEN = 0.1  # from this score on they are written: average precision needs those below 0.5 too
RATES = tuple(2.0**i for i in range(-3, 4))  # false positives an image, from 1/8 to 8 (LUNA16)
RECALLS = np.linspace(0, 1, 101)


def ap50(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts, *strict: Strict
) -> float:
    """AP at an IoU of 0.5: area under the precision-recall curve, the mean over classes.

    Source: as COCO computes it (Lin et al. 2014, arXiv:1405.0312): the mean at 101 recalls of the
    monotone (non-increasing) precision envelope.
    """
    del centred, strict
    return _mean(_area(hit, total) for hit, total in ranked(scores, labels, over, true))


def ap(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts, strict: Strict
) -> float:
    """AP at IoUs of 0.5, 0.55, ..., 0.95, the mean of the ten (COCO's AP)."""
    del over, centred
    each = [ranked(scores, labels, strict[..., i], true) for i in range(len(OVERLAPS))]
    return _mean(_area(hit, total) for pairs in each for hit, total in pairs)


def froc(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts, *strict: Strict
) -> float:
    """FROC score: sensitivity at 1/8, 1/4, ..., 8 false positives an image, the mean of the seven.

    A true box is found if the center of a detection is in it. False positives are counted for each
    class. Source: the mean over the seven rates is that of LUNA16 (Setio et al. 2017,
    doi:10.1016/j.media.2017.06.015).
    """
    del over, strict
    pairs = ranked(scores, labels, centred, true)
    return _mean(_sensitivity(hit, total, len(true)) for hit, total in pairs)


def f1(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts, *strict: Strict
) -> float:
    """F1 of the detections that are shown (see `SCORE_THRESHOLD`), the mean over classes."""
    del centred, strict
    seen = np.where(scores >= SCORE_THRESHOLD, labels, -1)
    pairs = ranked(scores, seen, over, true)
    return _mean(2 * hit.sum() / (len(hit) + total) for hit, total in pairs)


def by_image(
    scores: Scores, labels: Labels, over: Hits, centred: Hits, true: Counts, *strict: Strict
) -> ndarray:
    """F1 of each image over all classes; 1 for an image with no box and no detection."""
    del centred, strict
    seen = (scores >= SCORE_THRESHOLD) & (labels >= 0)
    both, either = (seen & over).sum(1), seen.sum(1) + true.sum(1)
    return np.divide(2 * both, either, out=np.ones(len(true)), where=either > 0)


def by_class(
    metrics: Mapping[str, Metric],
    scores: Scores,
    labels: Labels,
    over: Hits,
    centred: Hits,
    true: Counts,
    *strict: Strict,
) -> dict[str, Float[ndarray, "k"]]:
    """Each metric for each class; NaN for a class with no true box."""
    alone = [np.where(np.arange(true.shape[1]) == c, true, 0) for c in range(true.shape[1])]
    return {
        name: np.array([metric(scores, labels, over, centred, one, *strict) for one in alone])
        for name, metric in metrics.items()
    }


def ranked(
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


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"AP50": ap50, "AP": ap, "FROC": froc, "F1": f1}
)


OVERLAPS = tuple(0.5 + 0.05 * i for i in range(10))


def judged(
    found: Float[ndarray, "n d 6"], true: Float[ndarray, "n m 5"], k: int
) -> tuple[ndarray, ...]:
    """Match detections to true boxes: the inputs of the metrics, a row an image."""
    more = max(MOST - found.shape[1], 0)  # all alike, so that parts can be joined
    found = np.pad(found, ((0, 0), (0, more), (0, 0)), constant_values=NO_BOX)
    labels, scores = found[..., 4].astype(np.int64), found[..., 5]
    counts = np.stack([(true[..., 4] == c).sum(1) for c in range(k)], 1)
    strict, centred = np.zeros((*labels.shape, len(OVERLAPS)), bool), np.zeros(labels.shape, bool)
    shared = pairwise_iou(
        torch.from_numpy(found[..., :4]), torch.from_numpy(true[..., :4]).double()
    )
    for i, (claims, boxes) in enumerate(zip(found, true, strict=True)):
        real = int((claims[:, 4] != NO_BOX).sum())  # padding comes last
        fits = claims[:real, None, 4] == boxes[None, :, 4]
        share = np.where(fits, shared[i, :real].numpy(), -1)
        for t, least in enumerate(OVERLAPS):
            strict[i, :real, t] = greedy(np.where(share >= least, share, -1))
        centred[i, :real] = greedy(np.where(fits, _nearness(claims[:real], boxes), -1))
    return scores, labels, strict[..., 0], centred, counts, strict


def _nearness(claims: Float[ndarray, "d 6"], boxes: Float[ndarray, "m 5"]) -> Float[ndarray, "d m"]:
    """Centrality of a detection: 1 at the center of a box, 0 at its border, negative outside."""
    middle, half = (boxes[:, :2] + boxes[:, 2:4]) / 2, (boxes[:, 2:4] - boxes[:, :2]) / 2
    away = np.abs((claims[:, None, :2] + claims[:, None, 2:4]) / 2 - middle)
    return 1 - (away / np.maximum(half, 1e-12)).max(-1)


def greedy(fit: Float[ndarray, "d m"]) -> Bool[ndarray, "d"]:
    """Greedy matching: each detection, by score, takes the best fitting box that is left."""
    fit, hit = fit.copy(), np.zeros(len(fit), bool)
    for d, row in enumerate(fit):
        if row.size and row.max() >= 0:
            hit[d] = True
            fit[:, row.argmax()] = -1
    return hit
