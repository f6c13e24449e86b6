"""Object detection: boxes, each of one of k classes, and the score threshold of those shown."""

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

from medshot.core.errors import DataError, TaskError
from medshot.core.prediction import BoxPrediction
from medshot.core.task import Card, Task, positions
from medshot.tasks.average_precision import METRICS, SCORE_THRESHOLD, judged
from medshot.tasks.boxes import NO_BOX, find, paint
from medshot.tasks.multi_label import bernoulli_kl

SIZES = 2  # outputs that say how wide and how high
RARE = math.log(99)  # an output of 0 stands for a heat of 1 in 100,
TYPICAL = 0.1  # and for a side of a tenth of the image: networks begin there
LEAST = 0.01  # the heat of a peak that counts at all
SIZE_WEIGHT = 1.0  # of the error of sizes beside that of the heat


class Detection(Task):
    """Where objects of `n_outputs` - 2 classes are: a heat for each, then width and height.

    Targets are boxes `n m 5` (see `medshot.tasks.boxes`). Outputs are maps on any grid: for each
    class the logit of the heat, above that of 1 in 100; then the logarithms of width and height, in
    tenths of the image.
    """

    kind = "detection"
    on_grid = True
    at_centers = True
    exportable = False  # boxes are found one after the other
    metrics = METRICS

    @classmethod
    def of(cls, n_classes: int) -> "Detection":
        """The task with so many classes of objects."""
        return cls(n_classes + SIZES)

    @property
    def n_classes(self) -> int:
        """How many classes of objects there are."""
        return self.n_outputs - SIZES

    def sized(self, n_labels: int, target: Tensor) -> "Detection":
        """Two outputs more than there are classes."""
        del target
        return replace(self, n_outputs=n_labels + SIZES)

    def renumber(
        self, target: Float[Tensor, "n m 5"], labels: Sequence[str], wanted: Sequence[str]
    ) -> Float[Tensor, "n m 5"]:
        """The same boxes, of classes by their numbers among those wanted."""
        new = target.new_tensor([*positions(labels, wanted), NO_BOX])
        return torch.cat([target[..., :4], new[target[..., 4:].long()]], -1)  # the last one is -1

    def check(self, target: Shaped[Tensor, "n ..."]) -> None:
        """Every class needs a box somewhere in the support."""
        if self.n_classes < 1:
            raise DataError("There is no class to look for. Give a box a label at least.")
        if target.ndim != 3 or target.shape[2] != 5 or not target.is_floating_point():
            raise DataError(
                "A target is rows of xmin, ymin, xmax, ymax, class (floats of shape n m 5), not "
                f"{target.dtype} of shape {tuple(target.shape)}."
            )
        boxes = target[target[..., 4] != NO_BOX]
        low, high = boxes[:, :2], boxes[:, 2:4]
        if not ((low >= 0) & (low < high) & (high <= 1)).all():  # NaN is none of these
            raise DataError(
                "A box is not 0 <= xmin < xmax <= 1 (and so with y): boxes are in shares of the "
                "width and height of the image."
            )
        known = torch.arange(self.n_classes).to(boxes)
        if not torch.isin(boxes[:, 4], known).all():
            raise DataError(f"A class of a box is none of 0 ... {self.n_classes - 1}.")
        absent = known[~torch.isin(known, boxes[:, 4])].long().tolist()
        if absent:
            raise DataError(
                f"Class number(s) {absent} have no box in the support. Add an image that shows "
                "them, or leave these classes out."
            )

    def shows(self, target: Float[Tensor, "n m 5"]) -> Bool[Tensor, "n k"]:
        """Which class has a box on which image."""
        return torch.stack([(target[..., 4] == c).any(1) for c in range(self.n_classes)], 1)

    def loss(
        self, output: Float[Tensor, "n k h w"], target: Float[Tensor, "n m 5"]
    ) -> Float[Tensor, ""]:
        """CenterNet's focal loss of the heat, and the absolute error of the log sizes.

        The heat's is a sum over sites, divided by the number of boxes; the sizes' is a mean over
        sites, weighted by their heat.
        """
        logits, sizes = self._split(output)
        heat, sides = paint(target, self.n_classes, (output.shape[2], output.shape[3]), output)
        count = (target[..., 4] != NO_BOX).sum().clamp(min=1)
        weight = heat.amax(1, keepdim=True)
        error = (sizes - sides.clamp(min=1e-6).log()).abs() * weight
        return _focal(logits, heat) / count + SIZE_WEIGHT * error.sum() / weight.sum().clamp(min=1)

    def divergence(self, output: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
        """That of the heat at every site, and the difference of the log sizes, weighted by heat."""
        (ours, sides), (theirs, true) = self._split(output), self._split(other)
        weight = theirs.sigmoid().amax(1, keepdim=True)
        error = ((sides - true).abs() * weight).sum() / weight.sum().clamp(min=1)
        return bernoulli_kl(ours, theirs, temperature) + SIZE_WEIGHT * error

    def decode(self, output: Float[Tensor, "n k h w"]) -> Float[Tensor, "n d 6"]:
        """The boxes at the peaks of the heat, in shares of the image: box, class, score."""
        logits, sizes = self._split(output)
        return find(logits.sigmoid(), sizes.exp(), LEAST)

    def answer(self, output: Float[Tensor, "k h w"], path: Path, card: Card) -> BoxPrediction:
        """The boxes of a score of at least 0.5, in pixels of the file."""
        found = self.decode(output[None])[0].double().cpu()
        found = found[(found[:, 5] >= SCORE_THRESHOLD) & (found[:, 4] != NO_BOX)]
        height, width = card.preprocessing.grid(path)[:2]
        corners = found[:, :4] * torch.tensor([width, height, width, height])
        names = tuple(card.labels[int(c)] for c in found[:, 4])
        size = (width, height)
        return BoxPrediction(str(path), corners.numpy(), names, found[:, 5].numpy(), size)

    def evidence(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """Claims and what is true of them, a row an image."""
        return judged(decoded, target, self.n_classes)

    def _split(self, output: Tensor) -> tuple[Tensor, Tensor]:
        logits, sizes = output.split([self.n_classes, SIZES], 1)
        return logits - RARE, sizes + math.log(TYPICAL)


def detection(task: Task) -> Detection:
    """`task`, which a learner of boxes alone was given, as what it is."""
    if not isinstance(task, Detection):
        raise TaskError(f"This learner does detection, not {task.kind}.")
    return task


def _focal(logits: Float[Tensor, "n k h w"], heat: Float[Tensor, "n k h w"]) -> Float[Tensor, ""]:
    """The penalty-reduced focal loss of CenterNet, its alpha 2 and its beta 4; a sum over sites."""
    p, centre = logits.sigmoid(), heat == 1
    missed = -((1 - p) ** 2) * F.logsigmoid(logits)
    claimed = -((1 - heat) ** 4) * p**2 * F.logsigmoid(-logits)
    return torch.where(centre, missed, claimed).sum()


EDGE = 1e-6  # scores are that far from 0 and 1 at least


@torch.no_grad()
def shift(
    task: Detection, output: Float[Tensor, "n k h w"], boxes: Float[Tensor, "n m 5"]
) -> Float[Tensor, "c"]:
    """What to add to the logits of each class for the best F1 at a score of 0.5 on these images.

    0 for a class of which nothing is found.
    """
    found, true = task.decode(output.double()).cpu().numpy(), boxes.cpu().double().numpy()
    scores, labels, over, _, counts = judged(found, true, task.n_classes)
    moved = torch.zeros(task.n_classes).to(output)
    for c in range(task.n_classes):
        own = labels == c
        order = np.argsort(-scores[own], kind="stable")
        hits, ranked = np.cumsum(over[own][order]), scores[own][order]
        if len(hits) and hits[-1]:
            best = int((hits / (np.arange(1, len(hits) + 1) + counts[:, c].sum())).argmax())
            cut = ranked[best : best + 2].mean()  # halfway to the first that is left out
            cut = min(max(float(cut), EDGE), 1 - EDGE)
            moved[c] = -math.log(cut / (1 - cut))
    return moved
