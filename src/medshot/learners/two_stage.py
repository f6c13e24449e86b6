"""Two-stage detector, linear in dense features: candidates, then their correction and score."""

import math
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medshot.core import Predictor, part
from medshot.learners.baselines.thresholds import FACTORS, components
from medshot.nn.heads import features, rows_to_grid, sites
from medshot.tasks.boxes import (
    MOST,
    NO_BOX,
    first_of,
    first_of_same,
    pairwise_inside,
    pairwise_iou,
)
from medshot.tasks.detection import RARE, TYPICAL

OVERLAPPING = 0.4  # IoU of two detections from which the lower one is suppressed
INSIDE = 0.7  # overlap of two detections, over the smaller, from which one lies in the other
OFTEN = 0.05  # share of the support's boxes that lie in another one, from which this is usual
FIRST = 0.6  # the same for candidates of the first stage
FINE = 256  # sites along a side of the output: positions are rounded to them
UPPER = 8.0  # logits per unit of score above the threshold of the best F1
LOWEST = -9.0  # logit where there is no detection
TINY = 1e-3  # least side of a box, as a fraction of the image
SIGNS, BLUR = (1.0, -1.0), 1  # of components: brighter and darker ones; blur in pixels
REGIONS, ALIKE = 600, 0.8  # components at most; overlap from which one of two is left out
STEP = 0.5  # largest relative correction of a box by the second stage


@runtime_checkable
class Enlarging(Protocol):
    """An encoder that can enlarge its images."""

    def enlarged(self, x: Tensor, zoom: float) -> Tensor:
        """Features of images enlarged `zoom` times."""
        ...


@part("predictor", "box-probe")
class Boxes(Predictor):
    """Candidates at peaks of class heatmaps, refined and scored by features pooled from each box.

    All stages are linear in the features. The output is a heatmap with one site per detection,
    after non-maximum suppression over all classes together: one thing has one box. A box that lies
    in another one counts as the same thing, unless `nested` says of its class and the outer one's
    that this is usual (`usually_nested`; always, without it). A logit is the
    mean of both stages' scores minus `cut`, per class, times `gain` below it and `UPPER` above.
    Images are enlarged `zoom` times; with `regions`, components are candidates too.
    """

    sizes: Tensor
    limits: Tensor
    heat: Tensor
    size: Tensor
    score: Tensor
    shift: Tensor
    cut: Tensor
    gain: Tensor
    nested: Tensor

    exportable = False  # the number of candidates depends on the image

    def __init__(
        self,
        encoder: nn.Module,
        sizes: Float[Tensor, "k 2"],
        limits: Float[Tensor, "2 4"],
        heat: Float[Tensor, "f k"],
        size: Float[Tensor, "f 4"],
        score: Float[Tensor, "p k"],
        shift: Float[Tensor, "p 4"],
        cut: Float[Tensor, "k"],
        gain: Float[Tensor, "k"],
        zoom: float = 1.0,
        regions: bool = False,
        nested: Bool[Tensor, "k k"] | None = None,
    ) -> None:
        super().__init__()
        nested = torch.ones(len(sizes), len(sizes)).bool() if nested is None else nested
        self.encoder, self.zoom, self.regions = encoder, zoom, regions
        self.transductive = bool(getattr(encoder, "transductive", False))
        fitted = {"sizes": sizes, "limits": limits, "cut": cut, "gain": gain, "nested": nested}
        fitted |= {"heat": heat, "size": size, "score": score, "shift": shift}
        for name, tensor in fitted.items():
            self.register_buffer(name, tensor)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o i j"]:
        """Class logits and two log sizes, per site of a fine grid."""
        z = dense(self.encoder, x, self.zoom)
        return torch.stack([self._one(*one) for one in zip(z.split(1), x, strict=True)])

    def _one(
        self, z: Float[Tensor, "1 f h w"], image: Float[Tensor, "c *s"]
    ) -> Float[Tensor, "o i j"]:
        boxes, scores = self.detect(z, image)
        fine = max(1, FINE // max(z.shape[2:]))
        high, wide = z.shape[2] * fine, z.shape[3] * fine
        k = len(self.sizes)
        logits = z.new_full((k, high, wide), LOWEST)
        sides = self.sizes.mean(0)[:, None, None].expand(2, high, wide).clone()
        best, label = scores.max(1)
        above = best - self.cut[label]
        best = torch.where(above > 0, UPPER, self.gain[label]) * above
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        column = (middle[:, 0] * wide).long().clamp(0, wide - 1)
        row = (middle[:, 1] * high).long().clamp(0, high - 1)
        for i in best.argsort(stable=True).tolist():  # the best last: it stays where two meet
            logits[:, row[i], column[i]] = LOWEST
            logits[label[i], row[i], column[i]] = best[i].clamp(min=LOWEST)
            sides[:, row[i], column[i]] = (boxes[i, 2:] - boxes[i, :2]).log()
        return torch.cat([logits + RARE, sides - math.log(TYPICAL)])

    def detect(
        self, z: Float[Tensor, "1 f h w"], image: Float[Tensor, "c *s"]
    ) -> tuple[Float[Tensor, "d 4"], Float[Tensor, "d k"]]:
        """Boxes and scores of the classes, the best first, without overlaps."""
        seen = image if self.regions else None
        heat, boxes = candidates(z, seen, self.heat, self.size, self.limits)
        return scored(z, heat, boxes, self.score, self.shift, self.nested)


def dense(encoder: nn.Module, x: Float[Tensor, "n c *s"], zoom: float) -> Tensor:
    """Features `n f h w` of images, enlarged `zoom` times where the encoder can."""
    if zoom != 1 and isinstance(encoder, Enlarging):
        return encoder.enlarged(x, zoom)
    return features(encoder, x, unit=False)


def candidates(
    z: Float[Tensor, "1 f h w"],
    image: Float[Tensor, "c *s"] | None,
    heat: Tensor,
    size: Tensor,
    limits: Float[Tensor, "2 4"],
) -> tuple[Float[Tensor, "1 k h w"], Float[Tensor, "d 5"]]:
    """Class heatmaps, and boxes: at the peaks of their maximum, and around components of `image`.

    The last column is 1 for boxes of components (see `around_components`), 0 for peaks.
    """
    rows = sites(z)
    maps = rows_to_grid(linear(rows, heat), z)
    smooth = F.avg_pool2d(F.pad(maps, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    top = smooth.amax(1)
    peak = (F.max_pool2d(top, 3, stride=1, padding=1) == top).flatten().nonzero().flatten()
    value = top.flatten()[peak]
    peak = peak[value.argsort(descending=True, stable=True)][:MOST]
    geometry = linear(rows[peak], size).clamp(limits[0], limits[1])
    sides, (h, w) = geometry[:, :2].exp(), z.shape[2:]
    centre = torch.stack([(peak % w + 0.5) / w, (peak // w + 0.5) / h], 1)
    boxes = corners(centre + geometry[:, 2:] * sides, sides)
    boxes = boxes[_apart(boxes, FIRST)]
    others = boxes[:0] if image is None else around_components(image, limits).to(boxes)
    flags = torch.cat([boxes.new_zeros(len(boxes), 1), boxes.new_ones(len(others), 1)])
    return maps, torch.cat([torch.cat([boxes, others]), flags], 1)


def around_components(
    image: Float[Tensor, "c *s"], limits: Float[Tensor, "2 4"]
) -> Float[Tensor, "d 4"]:
    """Boxes around connected components above and below thresholds, of the sides of the support.

    Source: Matas et al. 2002, doi:10.1016/j.imavis.2004.02.006 (regions stable over thresholds),
    with the thresholds of `thresholds`.
    """
    if image.ndim != 3:
        return image.new_zeros(0, 4)
    found = [
        torch.from_numpy(components(image, -1, sign, factor, BLUR)[:, :4])
        for sign in SIGNS
        for factor in FACTORS
    ]
    boxes = torch.cat(found)
    sides = (boxes[:, 2:] - boxes[:, :2]).log().to(limits)
    boxes = boxes[((sides >= limits[0, :2]) & (sides <= limits[1, :2])).all(1).cpu()][:REGIONS]
    return boxes[_apart(boxes, ALIKE)]


def scored(
    z: Float[Tensor, "1 f h w"],
    heat: Float[Tensor, "1 k h w"],
    boxes: Float[Tensor, "d 5"],
    score: Tensor,
    shift: Tensor,
    nested: Bool[Tensor, "k k"],
) -> tuple[Float[Tensor, "e 4"], Float[Tensor, "e k"]]:
    """Refine the boxes once, score them, and suppress those that overlap a better one."""
    boxes, flag = boxes.split([4, 1], 1)
    step = (1 - flag) * linear(pooled(z, boxes, flag)[:, : len(shift) - 1], shift).clamp(
        -STEP, STEP
    )
    sides = boxes[:, 2:] - boxes[:, :2]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + step[:, :2] * sides
    boxes = corners(centre, sides * step[:, 2:].exp())
    at = (boxes[:, :2] + boxes[:, 2:] - 1)[None, None]
    first = F.grid_sample(heat, at, align_corners=False, padding_mode="border")[0, :, 0].mT
    scores = (first + linear(pooled(z, boxes, flag)[:, : len(score) - 1], score)) / 2
    order = scores.amax(1).argsort(descending=True, stable=True)
    boxes, scores = boxes[order], scores[order]
    label = scores.argmax(1)
    alike = pairwise_iou(boxes, boxes) > OVERLAPPING
    alike |= (pairwise_inside(boxes, boxes) > INSIDE) & ~_by_size(boxes, label, nested)
    kept = first_of(alike[None])[0]
    return boxes[kept], scores[kept]


def usually_nested(boxes: Float[Tensor, "n m 5"], k: int) -> Bool[Tensor, "k k"]:
    """Whether boxes of a class (row) usually lie in one of another or the same class (column).

    Usual is what holds for a share of at least `OFTEN` of the boxes of the inner class.
    """
    total, inner = torch.zeros(k), torch.zeros(k, k)
    for each in boxes.cpu():
        real = each[each[:, 4] != NO_BOX]
        label, area = real[:, 4].long(), (real[:, 2:4] - real[:, :2]).prod(1)
        lies = (pairwise_inside(real[:, :4], real[:, :4]) > INSIDE) & (
            pairwise_iou(real[:, :4], real[:, :4]) <= OVERLAPPING
        )
        lies &= area[:, None] <= area[None]
        total += torch.bincount(label, minlength=k)
        for c in range(k):
            inner[:, c] += torch.bincount(label[lies[:, label == c].any(1)], minlength=k)
    return inner >= OFTEN * total.clamp(min=1)[:, None]


def _by_size(
    boxes: Float[Tensor, "d 4"], label: Int[Tensor, "d"], nested: Bool[Tensor, "k k"]
) -> Bool[Tensor, "d d"]:
    """`nested` of the smaller box's class and the larger one's, for each pair."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    as_inner = nested[label][:, label]
    return as_inner.where(area[:, None] <= area[None], as_inner.mT)


def pooled(
    z: Float[Tensor, "1 f h w"], boxes: Float[Tensor, "d 4"], flag: Float[Tensor, "d 1"]
) -> Float[Tensor, "d p"]:
    """Mean features inside each box, minus those around it, the log sides with squares, a flag.

    They are read at 5 x 5 points: 3 x 3 inside the box, and 16 on a rim outside of it.
    """
    along = torch.tensor([-0.68, -0.33, 0.0, 0.33, 0.68]).to(z)
    points = torch.cartesian_prod(along, along).flip(1)
    inside = points.abs().amax(1) < 0.5
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    at = centre[:, None] + points * sides[:, None]
    read = F.grid_sample(z, (2 * at - 1)[None], align_corners=False, padding_mode="border")[0]
    middle, rim = read[..., inside].mean(2).mT, read[..., ~inside].mean(2).mT
    logs = sides.log()
    return torch.cat([middle, middle - rim, logs, logs.square(), flag], 1)


def linear(rows: Float[Tensor, "n f"], rule: Tensor) -> Float[Tensor, "n t"]:
    """Value of a linear function on each row."""
    return rows @ rule[:-1] + rule[-1]


def _apart(boxes: Float[Tensor, "d 4"], at: float) -> Tensor:
    """Non-maximum suppression over all classes together."""
    return first_of_same(boxes[None], torch.zeros_like(boxes[None, :, 0]).long(), at)[0]


def corners(centre: Float[Tensor, "d 2"], sides: Float[Tensor, "d 2"]) -> Float[Tensor, "d 4"]:
    """Corners within the image, at least `TINY` apart."""
    centre, half = centre.clamp(TINY, 1 - TINY), sides.clamp(min=TINY) / 2
    return torch.cat([(centre - half).clamp(0, 1), (centre + half).clamp(0, 1)], 1)
