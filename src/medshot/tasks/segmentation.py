"""One label a pixel (or voxel), out of k."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.prediction import MaskPrediction
from medshot.core.predictor import Card
from medshot.core.task import Task
from medshot.tasks.classification import one_hot
from medshot.tasks.overlap import METRICS, overlaps
from medshot.tasks.surface import mean_surface_distance, surface_distances

UNLABELLED = -1  # a site that says nothing, and is not judged


@dataclass(frozen=True)
class Segmentation(Task):
    """Which of `n_outputs` classes every site of an image belongs to; by custom 0 is background.

    Targets are 0 ... k-1 on the grid of the image, -1 where nobody has labelled. Where the
    `spacing` of sites is known (mm), as it is for volumes, the distance of borders is measured too.
    """

    spacing: Sequence[float] | None = None

    kind = "segmentation"
    link = "softmax"
    on_grid = True
    metrics = METRICS

    def __post_init__(self) -> None:
        if self.spacing is not None:
            object.__setattr__(self, "spacing", tuple(self.spacing))
            measured = {**METRICS, "mean surface distance (mm)": mean_surface_distance}
            object.__setattr__(self, "metrics", measured)

    def check(self, target: Shaped[Tensor, "n ..."]) -> None:
        """Every class needs a site somewhere in the support; there are at least two classes."""
        if target.ndim < 3 or target.dtype != torch.int64:
            raise DataError(
                "A target is a mask with a class number a pixel (int64 of shape n h w, or n z h w "
                f"for volumes), not {target.dtype} of shape {tuple(target.shape)}."
            )
        if self.n_outputs < 2:
            raise DataError(
                "The masks hold only one class, so there is nothing to tell apart. Mark what you "
                "look for with 1, and all else with 0."
            )
        outside = target[(target < UNLABELLED) | (target >= self.n_outputs)]
        if len(outside):
            raise DataError(
                f"A mask holds {int(outside[0])}, which is outside 0 ... {self.n_outputs - 1} "
                f"(and {UNLABELLED} for not labelled)."
            )
        seen = torch.bincount(target[target >= 0].flatten(), minlength=self.n_outputs)
        if (seen == 0).any():
            absent = (seen == 0).nonzero().flatten().tolist()
            raise DataError(
                f"Class number(s) {absent} are in no mask of the support. Add an image that shows "
                "them, or leave these classes out."
            )

    def loss(
        self, output: Float[Tensor, "n k *s"], target: Int[Tensor, "n *s"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy over the labelled sites plus one less the soft Dice score.

        Source: the sum is that of Isensee et al. 2021, nnU-Net, doi:10.1038/s41592-020-01008-z. The
        Dice score is of each class over all images together, and then the mean over classes.
        """
        known = target != UNLABELLED
        entropies = F.cross_entropy(output, target, ignore_index=UNLABELLED, reduction="sum")
        dice = soft_dice(self.decode(output), target, known)
        return entropies / known.sum().clamp(min=1) + 1 - dice

    def encode(self, target: Int[Tensor, "n"], like: Tensor) -> Float[Tensor, "n k"]:
        """Of sites that are labelled: a one for the class, zeros for the others."""
        return one_hot(target, self.n_outputs, like)

    def decode(self, output: Float[Tensor, "n k *s"]) -> Float[Tensor, "n k *s"]:
        """Softmax over classes, at every site."""
        return output.softmax(1)

    def answer(self, output: Float[Tensor, "k *s"], path: Path, card: Card) -> MaskPrediction:
        """The most probable class of every site of the file, scores being spread to its grid."""
        scores = self.decode(output[None])
        grid = card.preprocessing.grid(path)
        flat = card.preprocessing.dims == 2
        spread = F.interpolate(
            scores, grid, mode="bilinear" if flat else "trilinear", antialias=flat
        )
        mask = spread.argmax(1)[0].byte().cpu().numpy()
        return MaskPrediction(str(path), mask, card.labels)

    def evidence(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """Counts of sites, a row an image: agreed, claimed, true (see `medshot.tasks.overlap`)."""
        claim = decoded.argmax(1)
        rows = len(target)
        counts = overlaps(claim.reshape(rows, -1), target.reshape(rows, -1), self.n_outputs)
        if self.spacing is None:
            return counts
        return *counts, surface_distances(claim, target, self.n_outputs, self.spacing)


def soft_dice(
    probabilities: Float[Tensor, "n k *s"], target: Int[Tensor, "n *s"], known: Tensor
) -> Float[Tensor, ""]:
    """2 sum p t / (sum p + sum t) of each class, over the known sites; the mean over classes.

    One is added above and below: a class that is nowhere and is not claimed counts as right.
    """
    k = probabilities.shape[1]
    truth = torch.stack([target == c for c in range(k)], 1).to(probabilities)
    mask = known[:, None].to(probabilities)
    over = [d for d in range(probabilities.ndim) if d != 1]
    both = (probabilities * truth * mask).sum(over)
    either = (probabilities * mask).sum(over) + (truth * mask).sum(over)
    return ((2 * both + 1) / (either + 1)).mean()
