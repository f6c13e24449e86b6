"""Box probe: a two-stage detector of ridge regressions on frozen dense features."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, Task
from medshot.learners.registry import register
from medshot.learners.two_stage import (
    TINY,
    Boxes,
    Enlarging,
    candidates,
    corners,
    dense,
    pooled,
    scored,
    usually_nested,
)
from medshot.tasks import Detection
from medshot.tasks.boxes import NO_BOX, mean_sizes, pairwise_iou
from medshot.tasks.detection import detection

SPREAD = 0.2  # standard deviation of the heatmap targets, as a fraction of the box
NEAR = 0.3  # heatmap value from which a site is an example of the size regression
PENALTY_HEAT, PENALTY_SIZE = 0.3, 10.0  # relative to the variance of a feature
PENALTY_SCORE, PENALTY_SHIFT = 1.0, 20.0
JITTERS = 12  # shifted and scaled copies of each box, for the second stage
FOLDS = 5  # of the cross-fit, at most
KEPT = -1  # fold that is never left out
FLAT = 1e-6  # least variance of a feature
MARGIN = 0.1  # of log sides and offsets beyond those of the support
LEAST = 0.3  # overlap from which a candidate is an example of a correction
USUAL = (0.35, 0.15)  # thresholds from one image, by experiments/box_thresholds.py
LOST = 0.01  # AP50 below the lower threshold
GAP = 0.2  # least distance of the thresholds: those of few boxes are optimistic
SMALL, ZOOM = 0.25, 1.5  # median side, as a fraction of the image, up to which it is enlarged
FLIPPED = 1  # images up to which flipped copies are learned from too
NCHW = 4  # dimensions of images
FEW = 5  # boxes by whose weight thresholds of a class are drawn to those of all, these to USUAL


class Moments:
    """Weighted second moments of rows and targets, by fold: ridge regressions without any fold."""

    def __init__(self) -> None:
        self.sums: dict[int, Tensor] = {}

    def add(
        self,
        rows: Float[Tensor, "n f"],
        targets: Float[Tensor, "n t"],
        weight: Float[Tensor, "n"],
        fold: Int[Tensor, "n"],
    ) -> None:
        """Add rows."""
        for f in fold.unique().tolist():
            own = (fold == f) & (weight > 0)
            some = torch.cat([rows[own], torch.ones_like(rows[own, :1])], 1)
            sums = ((some * weight[own, None]).mT @ torch.cat([some, targets[own]], 1)).double()
            self.sums[f] = self.sums[f] + sums if f in self.sums else sums

    def solve(self, penalty: float, without: int = KEPT) -> Tensor:
        """Ridge regression on standardized features; the bias is not penalized."""
        left = [each for f, each in self.sums.items() if f != without or f == KEPT]
        sums = torch.stack(left).sum(0)
        n = len(sums)
        total = sums[-1, n - 1]
        mean, goal = sums[: n - 1, n - 1] / total, sums[-1, n:] / total
        both = sums[: n - 1, : n - 1] / total - mean[:, None] * mean
        cross = sums[: n - 1, n:] / total - mean[:, None] * goal
        spread = both.diagonal().clamp(min=FLAT).sqrt()
        scaled = both / (spread[:, None] * spread)
        scaled.diagonal().add_(penalty)
        root = torch.linalg.cholesky(scaled)
        weight = torch.cholesky_solve(cross / spread[:, None], root) / spread[:, None]
        return torch.cat([weight, (goal - mean @ weight)[None]])


def folds_of(boxes: Float[Tensor, "n m 5"], h: int, w: int, k: int) -> Int[Tensor, "n h w"]:
    """Fold of each site: by image; quadrants where there is one image.

    Images are ordered by their boxes, so that the order of the support does not matter. A fold
    without which a class would have no box is `KEPT`: it is never left out.
    """
    n = len(boxes)
    if n == 1:
        down, across = (torch.arange(side) >= side / 2 for side in (h, w))
        fold = (2 * down[:, None].long() + across.long())[None]
    else:
        order = boxes.where(boxes[..., 4:] != NO_BOX, 0).sum((1, 2)).argsort(stable=True)
        fold = (order.argsort().cpu() % FOLDS)[:, None, None].expand(n, h, w).clone()
    image, place = (boxes[..., 4] != NO_BOX).nonzero(as_tuple=True)
    real = boxes[image, place]
    of_box, label = fold[image.cpu(), *at_site(real, h, w)], real[:, 4].long().cpu()
    counts = torch.zeros(int(fold.max()) + 1, k).index_put_((of_box, label), torch.ones(1), True)
    for f in range(len(counts)):
        if (counts.sum(0) == counts[f]).any():
            fold[fold == f] = KEPT
    return fold


def with_flips(
    x: Float[Tensor, "n c h w"], boxes: Float[Tensor, "n m 5"], fold: Int[Tensor, "n i j"]
) -> tuple[Float[Tensor, "v c h w"], Float[Tensor, "v m 5"], Int[Tensor, "v i j"]]:
    """Images, boxes and folds, then the same from right to left, upside down, and both."""
    swapped = {1: [0, 3, 2, 1, 4], 2: [2, 1, 0, 3, 4]}  # columns of a box, by axis
    real, every = boxes[..., 4:] != NO_BOX, [(x, boxes, fold)]
    for axes in ((2,), (1,), (1, 2)):  # of the fold; one more in images
        turned = boxes
        for axis in axes:
            mirrored = turned[..., swapped[axis]].clone()
            mirrored[..., 2 - axis : 4 : 2] = 1 - mirrored[..., 2 - axis : 4 : 2]
            turned = mirrored.where(real, boxes)
        every.append((x.flip([axis + 1 for axis in axes]), turned, fold.flip(axes)))
    images, targets, folds = (torch.cat(part) for part in zip(*every, strict=True))
    return images, targets, folds


def at_site(boxes: Float[Tensor, "d c"], h: int, w: int) -> tuple[Tensor, Tensor]:
    """Row and column of the site that holds the center of each box."""
    middle = ((boxes[:, :2] + boxes[:, 2:4]) / 2).cpu()
    return (middle[:, 1] * h).long().clamp(0, h - 1), (middle[:, 0] * w).long().clamp(0, w - 1)


def site_targets(
    boxes: Float[Tensor, "m 5"], k: int, h: int, w: int
) -> tuple[Float[Tensor, "s k"], Float[Tensor, "s 4"]]:
    """Heat of each class, and log sides and offset (in sides) of the nearest box, at each site."""
    y, x = ((torch.arange(side).to(boxes) + 0.5) / side for side in (h, w))
    if not len(boxes):
        return boxes.new_zeros(h * w, k), boxes.new_zeros(h * w, 4)
    centre, sides = (boxes[:, :2] + boxes[:, 2:4]) / 2, boxes[:, 2:4] - boxes[:, :2]
    wide = torch.maximum(sides * SPREAD, 0.5 / sides.new_tensor([w, h]))
    across, down = (
        ((at - centre[:, i : i + 1]) / wide[:, i : i + 1]).square() for i, at in ((0, x), (1, y))
    )
    bell = torch.exp(-(down[:, :, None] + across[:, None]) / 2).flatten(1)
    heat = [bell.where(boxes[:, 4:] == c, 0).amax(0) for c in range(k)]
    near = bell.argmax(0)
    site = torch.stack([x.repeat(h), y.repeat_interleave(w)], 1)
    return torch.stack(heat, 1), torch.cat(
        [sides[near].log(), (centre[near] - site) / sides[near]], 1
    )


def _balanced(heat: Float[Tensor, "n k"], total: Float[Tensor, "k"], rest: Tensor) -> Tensor:
    """Weight of rows: all classes alike, and what is no object as much as all of them."""
    return (1 - heat.sum(1)).clamp(min=0) / rest + (heat / total).sum(1) / len(total)


@register("box-probe")
class BoxProbe(Learner):
    """Two-stage detection by ridge regressions, solved in closed form.

    Source: ridge regression (Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634) in the two
    stages of Faster R-CNN (Ren et al. 2015, arXiv:1506.01497), with the heatmaps of CenterNet
    (Zhou et al. 2019, arXiv:1904.07850). The first stage regresses at each site a Gaussian heatmap
    per class, all classes with equal weight, and, near centers, log sides and offset. The second
    stage pools features inside and around each candidate and regresses its overlap with a box of
    each class, and the correction of its corners. Its examples are the boxes, jittered copies,
    and candidates of a first stage that did not learn from their image. Candidates are also the
    connected components of the image above and below thresholds (`around_components`). Images are
    enlarged by a half where objects are small: less than a quarter of the image. From one image,
    flipped copies of it are learned from too.

    The scores are calibrated on images left out: 0.5 is the threshold of the best F1, and below 0.1
    hardly any average precision is left. From one image, nothing is left out that would tell:
    scores of what was learned are too high, and those of quadrants depend on few objects. Then both
    thresholds are those that were best on other sets (`USUAL`).
    """

    supports = (Detection,)
    source = "Ren et al. 2015, arXiv:1506.01497 (two stages)"
    trainable = False
    exact = False
    usual_encoder = "mobilenet-maps"

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Solve both stages, and calibrate the scores."""
        k, boxes = detection(task).n_classes, support.y
        zoom = self.zoom(boxes)
        z = torch.cat([dense(self.encoder, x, zoom) for x in support.x.split(1)])
        boxes = boxes.to(z)
        fold = folds_of(boxes, z.shape[2], z.shape[3], k)
        images, own = support.x, len(boxes)
        if own <= FLIPPED and images.ndim == NCHW:
            images, boxes, fold = with_flips(images, boxes, fold)
            z = torch.cat([z, *(dense(self.encoder, x, zoom) for x in images[own:].split(1))])
        heat, size, limits = _first_stage(z, boxes, k, fold)
        held = {
            f: (heat.solve(PENALTY_HEAT, f).to(z), size.solve(PENALTY_SIZE, f).to(z))
            for f in (KEPT, *fold.unique().tolist())
        }
        found = [
            [
                (f, maps, some[fold[i][at_site(some, *fold.shape[1:])] == f])
                for f in fold[i].unique().tolist()
                for maps, some in [candidates(z[i : i + 1], images[i], *held[f], limits)]
            ]
            for i in range(len(z))
        ]
        score, shift = _second_stage(z, boxes, k, fold, found)
        second = {
            f: (score.solve(PENALTY_SCORE, f).to(z), shift.solve(PENALTY_SHIFT, f).to(z))
            for f in held
        }
        nested = usually_nested(boxes, k).to(z.device)
        answers = [
            [
                scored(one, maps, some, *second[f], nested)
                for f, maps, some in each
                if f != KEPT and own > 1
            ]
            for one, each in zip(z[:own].split(1), found[:own], strict=True)
        ]
        cut, gain = calibration(answers, left_out(boxes[:own], fold[:own]), detection(task))
        sizes = mean_sizes(boxes, k)
        rules = (*held[KEPT], *second[KEPT], cut.to(z), gain.to(z))
        return Boxes(self.encoder, sizes, limits, *rules, zoom=zoom, regions=True, nested=nested)

    def zoom(self, boxes: Float[Tensor, "n m 5"]) -> float:
        """Enlargement of the images: more than 1 for small objects, where the encoder can."""
        real = boxes[boxes[..., 4] != NO_BOX]
        side = (real[:, 2:4] - real[:, :2]).prod(1).sqrt().median()
        return ZOOM if isinstance(self.encoder, Enlarging) and side < SMALL else 1.0


def _first_stage(
    z: Float[Tensor, "n f h w"], boxes: Float[Tensor, "n m 5"], k: int, fold: Int[Tensor, "n h w"]
) -> tuple[Moments, Moments, Float[Tensor, "2 4"]]:
    """Moments of the heatmaps and of the geometry; its limits."""
    wanted = [site_targets(each[each[:, 4] != NO_BOX], k, *z.shape[2:]) for each in boxes]
    total = torch.stack([heat.sum(0) for heat, _ in wanted]).sum(0)
    rest = torch.stack([(1 - heat.sum(1)).clamp(min=0).sum() for heat, _ in wanted]).sum()
    heats, sizes, seen = Moments(), Moments(), []
    for image, (heat, geometry), where in zip(z, wanted, fold.flatten(1), strict=True):
        rows = image.flatten(1).mT
        heats.add(rows, heat, _balanced(heat, total, rest), where.to(z.device))
        near = heat.amax(1) > NEAR
        weight = (heat[near] / total).sum(1)
        sizes.add(rows[near], geometry[near], weight, where.to(z.device)[near])
        seen.append(geometry[near])
    every = torch.cat(seen)
    return heats, sizes, torch.stack([every.amin(0) - MARGIN, every.amax(0) + MARGIN])


def _second_stage(
    z: Float[Tensor, "n f h w"],
    boxes: Float[Tensor, "n m 5"],
    k: int,
    fold: Int[Tensor, "n h w"],
    found: list[list[tuple[int, Tensor, Tensor]]],
) -> tuple[Moments, Moments]:
    """Moments of the overlaps of boxes and of their corrections."""
    jitter = torch.randn(JITTERS, 4, generator=torch.Generator().manual_seed(0)).to(z)
    examples = []
    for image, each, some, where in zip(z.split(1), boxes, found, fold, strict=True):
        real = each[each[:, 4] != NO_BOX]
        sides = (real[:, 2:4] - real[:, :2]).repeat(JITTERS, 1)
        moved = ((real[:, :2] + real[:, 2:4]) / 2).repeat(JITTERS, 1)
        by = jitter.repeat_interleave(len(real), 0)
        moved = corners(moved + 0.15 * by[:, :2] * sides, sides * (0.25 * by[:, 2:]).exp())
        drawn = F.pad(torch.cat([real[:, :4], moved]), (0, 1), value=0.5)  # of no kind
        proposed, flag = torch.cat([drawn, *(a for _, _, a in some)]).split([4, 1], 1)
        large = ((proposed[:, 2:] - proposed[:, :2]) > TINY).all(1)
        proposed, flag = proposed[large], flag[large]
        if not len(proposed):
            continue
        overlap, nearest = (
            torch.zeros(len(proposed)).to(z),
            torch.zeros(len(proposed)).long().to(z.device),
        )
        true = proposed
        if len(real):
            overlap, nearest = pairwise_iou(proposed, real[:, :4]).max(1)
            true = real[nearest, :4]
            nearest = real[nearest, 4].long()
        sides, wanted = proposed[:, 2:] - proposed[:, :2], true[:, 2:] - true[:, :2]
        away = (true[:, :2] + true[:, 2:] - proposed[:, :2] - proposed[:, 2:]) / 2 / sides
        share = ((overlap - 0.2) / 0.6).clamp(0, 1)[:, None] * F.one_hot(nearest, k)
        change = torch.cat([away, (wanted / sides).log()], 1)
        own = where[at_site(true, *where.shape)].to(z.device)
        examples.append((pooled(image, proposed, flag), share, change, overlap > LEAST, own))
    total = torch.stack([share.sum(0) for _, share, *_ in examples]).sum(0).clamp(min=1e-6)
    rest = torch.stack([(1 - share.sum(1)).sum() for _, share, *_ in examples]).sum()
    scores, shifts = Moments(), Moments()
    for rows, share, change, close, own in examples:
        scores.add(rows, share, _balanced(share, total, rest.clamp(min=1e-6)), own)
        shifts.add(rows[close], change[close], (share[close] / total).sum(1) + 1e-9, own[close])
    return scores, shifts


def left_out(boxes: Float[Tensor, "n m 5"], fold: Int[Tensor, "n h w"]) -> Float[Tensor, "n m 5"]:
    """The boxes that are left out by a fold; the others are padding."""
    found = boxes.clone()
    for each, where in zip(found, fold, strict=True):
        own = where[at_site(each, *where.shape)].to(each.device)
        each[own == KEPT, 4] = NO_BOX
    return found


def calibration(
    answers: list[list[tuple[Tensor, Tensor]]], boxes: Float[Tensor, "n m 5"], task: Detection
) -> tuple[Float[Tensor, "k"], Float[Tensor, "k"]]:
    """Cut and gain of the scores of each class, from detections on images that were left out.

    A logit of 0 is the threshold of the best F1, one of -log 9 (a score of 0.1) that below which
    less than `LOST` of AP50 is left. The thresholds of a class with few boxes are drawn to those
    of all classes together, these to `USUAL`; from one image they are `USUAL`.
    """
    k, most = task.n_classes, max(sum(len(b) for b, _ in each) for each in answers)
    found = np.full((len(boxes), max(most, 1), 6), -1.0)
    for row, each in zip(found, answers, strict=True):
        if not each:
            continue
        scores, label = torch.cat([s for _, s in each]).max(1)
        rows = torch.cat([torch.cat([b for b, _ in each]), label[:, None], scores[:, None]], 1)
        rows = rows[scores.argsort(descending=True, stable=True)]
        row[: len(rows)] = rows.double().cpu().numpy()
    inputs = task.metric_inputs(found, boxes.double().cpu().numpy())
    scores, labels, hits, _, counts, _ = inputs
    real = labels >= 0
    overall = _drawn(_thresholds(scores[real], hits[real], int(counts.sum())), USUAL, counts)
    cuts, gain = torch.zeros(k), torch.zeros(k)
    for c in range(k):
        own, n = labels == c, counts[:, c]
        cut, low = _drawn(_thresholds(scores[own], hits[own], int(n.sum())), overall, n)
        cuts[c], gain[c] = cut, math.log(9) / max(cut - low, GAP)
    return cuts, gain


def _drawn(own: tuple[float, ...], to: tuple[float, ...], counts: ndarray) -> tuple[float, ...]:
    """Thresholds from some boxes, drawn to others by the weight of `FEW` boxes."""
    n = int(counts.sum())
    return tuple((n * a + FEW * b) / (n + FEW) for a, b in zip(own, to, strict=True)) if own else to


def _thresholds(scores: Float[ndarray, "d"], hits: ndarray, n: int) -> tuple[float, ...]:
    """Score of the best F1, and that below which hardly any precision is left; () without hits."""
    order = np.argsort(-scores, kind="stable")
    ranked, found = scores[order], np.cumsum(hits[order])
    if not len(found) or not found[-1]:
        return ()
    best = int((found / (np.arange(1, len(found) + 1) + n)).argmax())
    precision = np.maximum.accumulate((found / np.arange(1, len(found) + 1))[::-1])[::-1]
    area = np.cumsum(precision * hits[order]) / n
    last = max(int(np.searchsorted(area, area[-1] - LOST)), best)
    return float(ranked[best : best + 2].mean()), float(ranked[last : last + 2].mean())
