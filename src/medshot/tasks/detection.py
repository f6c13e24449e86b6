"""Object detection: boxes of k classes, and calibration of the score threshold."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import (
    BoxPrediction,
    Card,
    DataError,
    PointPrediction,
    Task,
    TaskError,
    positions,
)
from medshot.tasks.boxes import METRICS, NO_BOX, WRITTEN, find, judged, paint
from medshot.tasks.multi_label import bernoulli_kl

SIZES = 2  # outputs for width and height
RARE = math.log(99)  # minus the prior logit: an output of 0 is a heatmap value of 1 in 100
TYPICAL = 0.1  # prior size: an output of 0 is a tenth of the image's side
LEAST = 0.01  # minimum heatmap value of a peak
SIZE_WEIGHT = 1.0  # of the size loss relative to the heatmap loss


class Detection(Task):
    """Object detection with `n_outputs` - 2 classes: a heatmap for each, then width and height.

    Targets are boxes `n m 5` (see `medshot.tasks.boxes`). Outputs are maps on any grid: for each
    class the logit of the heatmap, relative to the logit of 1/100; then log width and log height,
    in tenths of the image.
    """

    kind = "detection"
    on_grid = True
    at_centers = True
    exportable = False  # non-maximum suppression is not part of an exported graph
    metrics = METRICS

    @classmethod
    def of(cls, n_classes: int) -> "Detection":
        """The task with `n_classes` classes of objects."""
        return cls(n_classes + SIZES)

    @property
    def n_classes(self) -> int:
        """Number of classes of objects."""
        return self.n_outputs - SIZES

    def sized(self, n_labels: int, target: Tensor) -> "Detection":
        """The task with an output for each class, and two for the size."""
        del target
        return replace(self, n_outputs=n_labels + SIZES)

    def renumber(
        self, target: Float[Tensor, "n m 5"], labels: Sequence[str], wanted: Sequence[str]
    ) -> Float[Tensor, "n m 5"]:
        """The same boxes with the class numbers of `wanted`."""
        new = target.new_tensor([*positions(labels, wanted), NO_BOX])
        return torch.cat([target[..., :4], new[target[..., 4:].long()]], -1)  # the last one is -1

    def check(self, target: Shaped[Tensor, "n ..."]) -> None:
        """Every class needs a box somewhere in the support."""
        if self.n_classes < 1:
            raise DataError("There is no class to detect. Add at least one labeled box.")
        if target.ndim != 3 or target.shape[2] != 5 or not target.is_floating_point():
            raise DataError(
                "A target is rows of xmin, ymin, xmax, ymax, class (floats of shape n m 5), not "
                f"{target.dtype} of shape {tuple(target.shape)}."
            )
        boxes = target[target[..., 4] != NO_BOX]
        self.check_corners(boxes[:, :2], boxes[:, 2:4])
        known = torch.arange(self.n_classes).to(boxes)
        if not torch.isin(boxes[:, 4], known).all():
            raise DataError(f"The class of a box is not in 0 ... {self.n_classes - 1}.")
        absent = known[~torch.isin(known, boxes[:, 4])].long().tolist()
        if absent:
            raise DataError(
                f"Class number(s) {absent} have no box in the support. Add an image that shows "
                "them, or leave these classes out."
            )

    def check_corners(self, low: Float[Tensor, "b 2"], high: Float[Tensor, "b 2"]) -> None:
        """Raise `DataError` where a box has no size or reaches out of the image."""
        if not ((low >= 0) & (low < high) & (high <= 1)).all():  # NaN is none of these
            raise DataError(
                "A box is not 0 <= xmin < xmax <= 1 (and the same for y): boxes are fractions of "
                "the width and height of the image."
            )

    def present_classes(self, target: Float[Tensor, "n m 5"]) -> Bool[Tensor, "n k"]:
        """Which classes have a box on each image."""
        return torch.stack([(target[..., 4] == c).any(1) for c in range(self.n_classes)], 1)

    def loss(
        self, output: Float[Tensor, "n k h w"], target: Float[Tensor, "n m 5"]
    ) -> Float[Tensor, ""]:
        """CenterNet's focal loss of the heatmaps plus the L1 loss of the log sizes.

        The focal loss is a sum over sites, divided by the number of boxes; the size loss is a mean
        over sites, weighted by the target heatmap.
        """
        logits, sizes = self._split(output)
        heat, sides = paint(target, self.n_classes, (output.shape[2], output.shape[3]), output)
        count = (target[..., 4] != NO_BOX).sum().clamp(min=1)
        weight = heat.amax(1, keepdim=True)
        error = (sizes - sides.clamp(min=1e-6).log()).abs() * weight
        return _focal(logits, heat) / count + SIZE_WEIGHT * error.sum() / weight.sum().clamp(min=1)

    def divergence(self, output: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
        """KL divergence of the heatmaps plus the L1 distance of the log sizes, heatmap-weighted."""
        (ours, sides), (theirs, true) = self._split(output), self._split(other)
        weight = theirs.sigmoid().amax(1, keepdim=True)
        error = ((sides - true).abs() * weight).sum() / weight.sum().clamp(min=1)
        return bernoulli_kl(ours, theirs, temperature) + SIZE_WEIGHT * error

    def decode(self, output: Float[Tensor, "n k h w"]) -> Float[Tensor, "n d 6"]:
        """Boxes at the peaks of the heatmaps, as fractions of the image: box, class, score."""
        logits, sizes = self._split(output)
        return find(logits.sigmoid(), sizes.exp(), LEAST)

    def to_prediction(
        self, output: Float[Tensor, "k h w"], path: Path, card: Card
    ) -> BoxPrediction | PointPrediction:
        """Boxes with a score of at least `WRITTEN`, in pixels of the file.

        A score of 0.5 is the threshold of the best F1 on the support: a list to work with has the
        boxes from there on.
        """
        return self._boxes_in(output, path, card)

    def _boxes_in(self, output: Float[Tensor, "k h w"], path: Path, card: Card) -> BoxPrediction:
        found = self.decode(output[None])[0].double().cpu()
        found = found[(found[:, 5] >= WRITTEN) & (found[:, 4] != NO_BOX)]
        height, width = card.preprocessing.grid(path)[:2]
        corners = found[:, :4] * torch.tensor([width, height, width, height])
        names = tuple(card.labels[int(c)] for c in found[:, 4])
        size = (width, height)
        return BoxPrediction(str(path), corners.numpy(), names, found[:, 5].numpy(), size)

    def metric_inputs(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """Matched detections (see `medshot.tasks.boxes`), a row an image."""
        return judged(decoded, target, self.n_classes)

    def _split(self, output: Tensor) -> tuple[Tensor, Tensor]:
        logits, sizes = output.split([self.n_classes, SIZES], 1)
        return logits - RARE, sizes + math.log(TYPICAL)


def detection(task: Task) -> Detection:
    """Cast `task` to `Detection`, for a learner that does nothing else."""
    if not isinstance(task, Detection):
        raise TaskError(f"This learner does detection, not {task.kind}.")
    return task


def _focal(logits: Float[Tensor, "n k h w"], heat: Float[Tensor, "n k h w"]) -> Float[Tensor, ""]:
    """Penalty-reduced focal loss of CenterNet, with its alpha of 2 and beta of 4; summed."""
    p, centre = logits.sigmoid(), heat == 1
    missed = -((1 - p) ** 2) * F.logsigmoid(logits)
    claimed = -((1 - heat) ** 4) * p**2 * F.logsigmoid(-logits)
    return torch.where(centre, missed, claimed).sum()


DIGITS = 9  # of a score: further ones are rounding, and depend on the order of the support
EDGE = 1e-6  # scores are clipped to [EDGE, 1 - EDGE]


@torch.no_grad()
def shift(
    task: Detection, output: Float[Tensor, "n k h w"], boxes: Float[Tensor, "n m 5"]
) -> Float[Tensor, "c"]:
    """Logit shift of each class that makes a score of 0.5 the threshold of the best F1.

    0 for a class without detections.
    """
    found, true = task.decode(output.double()).cpu().numpy(), boxes.cpu().double().numpy()
    scores, labels, over, _, counts, _ = task.metric_inputs(found, true)
    moved = torch.zeros(task.n_classes).to(output)
    for c in range(task.n_classes):
        own = labels == c
        rounded = scores[own].round(DIGITS)
        order = np.argsort(-rounded, kind="stable")
        hits, ranked = np.cumsum(over[own][order]), rounded[order]
        if len(hits) and hits[-1]:
            f1 = hits / (np.arange(1, len(hits) + 1) + counts[:, c].sum())
            parted = np.append(ranked[1:] < ranked[:-1], True)  # equal scores stay together
            best = int(np.where(parted, f1, 0).argmax())
            cut = ranked[best : best + 2].mean()  # halfway to the first one below the threshold
            cut = min(max(float(cut), EDGE), 1 - EDGE)
            moved[c] = -math.log(cut / (1 - cut))
    return moved
