"""Segmentation, one label a pixel (or voxel) out of k; overlap and surface distance.

Overlaps read counts of sites, a row an image and a column a class: those where prediction and truth
agree, those predicted, those true. Class 0, the background, is not scored: on most images it is
nearly all. A class that is neither on an image nor predicted there is left out of the mean; one
that is predicted where it is not has overlap 0. An image with nothing marked and nothing predicted
has 1. Distances are in millimeters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64, Integer, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.prediction import MaskPrediction
from medshot.core.task import Card, Form, Metric, Task
from medshot.tasks.classification import one_hot

Counts = Int[ndarray, "n k"]


def dice(both: Counts, claimed: Counts, true: Counts, *others: ndarray) -> float:
    """2 |A and B| / (|A| + |B|): the mean over the classes of an image, then over images.

    Source: Dice 1945, Ecology 26, 297-302.
    """
    del others
    return float(by_image(both, claimed, true).mean())


def intersection_over_union(both: Counts, claimed: Counts, true: Counts, *others: ndarray) -> float:
    """|A and B| / |A or B|, in the same order: Jaccard 1912, New Phytologist 11, 37-50."""
    del others
    return float(_mean_of_classes(_share(both, claimed + true - both)).mean())


def overlaps(
    claim: Int[ndarray, "n s"], truth: Int[ndarray, "n s"], k: int
) -> tuple[Counts, Counts, Counts]:
    """The three counts, over sites whose truth is known (not below 0)."""
    known = truth >= 0
    claims = [(claim == c) & known for c in range(k)]
    truths = [truth == c for c in range(k)]
    both = [a & b for a, b in zip(claims, truths, strict=True)]
    found = (np.stack([each.sum(1) for each in sites], 1) for sites in (both, claims, truths))
    return next(found), next(found), next(found)


def by_image(both: Counts, claimed: Counts, true: Counts) -> Float[ndarray, "n"]:
    """The Dice score of each image."""
    return _mean_of_classes(_share(2 * both, claimed + true))


def _share(part: Counts, whole: Counts) -> Float[ndarray, "n k"]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean_of_classes(shares: Float[ndarray, "n k"]) -> Float[ndarray, "n"]:
    """The mean of an image over its classes but background; 1 where there are none."""
    judged = np.isfinite(shares[:, 1:])
    total, count = np.where(judged, shares[:, 1:], 0).sum(1), judged.sum(1)
    return np.divide(total, count, out=np.ones(len(total)), where=count > 0)


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"Dice": dice, "IoU": intersection_over_union}
)


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


UNLABELED = -1  # a site that says nothing, and is not judged


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

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """Masks `n h w` of class numbers, 0 being background."""
        if y.ndim != 3 or y.dtype.kind not in "iub":
            raise DataError(f"Masks are n h w of class numbers, not {y.shape} of {y.dtype}.")
        most = int(y.max())
        names = labels or ["background", *(f"class {i}" for i in range(1, max(most, 1) + 1))]
        if most >= len(names) or y.min() < 0:
            raise DataError(
                f"Masks hold numbers from {y.min()} to {most}, and there are {len(names)} labels, "
                "of which the first is background."
            )
        return torch.from_numpy(y.astype(np.uint8)), names

    def unpack(self, target: Integer[Tensor, "n *s"]) -> Int64[Tensor, "n *s"]:
        """Masks are kept in 8 bits."""
        return target.long()

    def resize(self, target: Integer[Tensor, "n h w"], form: Form) -> Integer[Tensor, "n s s"]:
        """Each pixel takes the number of the nearest."""
        if form.size is None:
            return target
        side = (form.size, form.size)
        found = F.interpolate(target[:, None].float(), side, mode="nearest-exact")
        return found[:, 0].to(target.dtype)

    def renumber(
        self, target: Integer[Tensor, "n *s"], labels: Sequence[str], wanted: Sequence[str]
    ) -> Integer[Tensor, "n *s"]:
        """The same: masks hold numbers, of which the model must know as many."""
        if len(labels) > len(wanted):
            raise DataError(
                f"The masks hold numbers up to {len(labels) - 1}, and the model knows "
                f"{len(wanted)} classes, {', '.join(wanted)}. Take masks of these."
            )
        return target

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
        outside = target[(target < UNLABELED) | (target >= self.n_outputs)]
        if len(outside):
            raise DataError(
                f"A mask holds {int(outside[0])}, which is outside 0 ... {self.n_outputs - 1} "
                f"(and {UNLABELED} for not labelled)."
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
        known = target != UNLABELED
        entropies = F.cross_entropy(output, target, ignore_index=UNLABELED, reduction="sum")
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
        """Counts of sites, a row an image: agreed, claimed, true."""
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
