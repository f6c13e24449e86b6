"""Segmentation with one of k labels a pixel (or voxel); overlap and surface distance.

Overlap metrics read counts of pixels, a row an image and a column a class: true positives,
predicted, true. Class 0, the background, is not scored: it is nearly all of most images. A class
that is neither true nor predicted on an image is left out of the mean; one that is only predicted
has overlap 0. An image with nothing marked and nothing predicted scores 1. Distances are in
millimeters.
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

from medshot.core import (
    Card,
    DataError,
    Form,
    MaskPrediction,
    Metric,
    Storing,
    Task,
    mask_numbers,
)
from medshot.tasks.classification import one_hot

Counts = Int[ndarray, "n k"]


def dice(both: Counts, claimed: Counts, true: Counts, *others: ndarray) -> float:
    """Dice score 2 |A and B| / (|A| + |B|), the mean over the classes of an image, then images.

    Source: Dice 1945, Ecology 26, 297-302.
    """
    del others
    return float(by_image(both, claimed, true).mean())


def intersection_over_union(both: Counts, claimed: Counts, true: Counts, *others: ndarray) -> float:
    """Jaccard index |A and B| / |A or B|, averaged as `dice` is.

    Source: Jaccard 1912, New Phytologist 11, 37-50.
    """
    del others
    return float(_mean_of_classes(_share(both, claimed + true - both)).mean())


def overlap_counts(
    claim: Int[ndarray, "n s"], truth: Int[ndarray, "n s"], k: int
) -> tuple[Counts, Counts, Counts]:
    """The three counts over labeled pixels (target not below 0)."""
    known = truth >= 0
    claims = [(claim == c) & known for c in range(k)]
    truths = [truth == c for c in range(k)]
    both = [a & b for a, b in zip(claims, truths, strict=True)]
    found = (np.stack([each.sum(1) for each in sites], 1) for sites in (both, claims, truths))
    return next(found), next(found), next(found)


def by_image(both: Counts, claimed: Counts, true: Counts) -> Float[ndarray, "n"]:
    """Dice score of each image."""
    return _mean_of_classes(_share(2 * both, claimed + true))


def _share(part: Counts, whole: Counts) -> Float[ndarray, "n k"]:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean_of_classes(shares: Float[ndarray, "n k"]) -> Float[ndarray, "n"]:
    """Mean over the foreground classes of each image; 1 where there are none."""
    judged = np.isfinite(shares[:, 1:])
    total, count = np.where(judged, shares[:, 1:], 0).sum(1), judged.sum(1)
    return np.divide(total, count, out=np.ones(len(total)), where=count > 0)


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"Dice": dice, "IoU": intersection_over_union}
)


def surface_distances(
    claim: Int[ndarray, "n *s"], truth: Int[ndarray, "n *s"], k: int, spacing: Sequence[float]
) -> Float[ndarray, "n k"]:
    """Average symmetric surface distance in mm of each class on each image.

    The mean of the distances from every border pixel of either mask to the nearest border pixel of
    the other (Heimann et al. 2009, IEEE Trans. Med. Imaging 28, 1251-1265). NaN for background, and
    where a class is missing from the prediction or the target. Unlabeled pixels (target below 0)
    belong to no class.
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
    """Mean over the classes that are both true and predicted; NaN where there are none."""
    del both, claimed, true
    there = distances[np.isfinite(distances)]
    return float(there.mean()) if there.size else float("nan")


def _border(mask: Bool[ndarray, "*s"]) -> Bool[ndarray, "*s"]:
    from scipy.ndimage import binary_erosion  # noqa: PLC0415  (slow to import)

    return mask & np.logical_not(binary_erosion(mask))


def _between(a: Bool[ndarray, "*s"], b: Bool[ndarray, "*s"], spacing: Sequence[float]) -> float:
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415  (slow to import)

    to_a, to_b = (np.asarray(distance_transform_edt(~each, sampling=spacing)) for each in (a, b))
    return float(np.concatenate([to_b[a], to_a[b]]).mean())


def mask_labels(numbers: Sequence[int]) -> tuple[str, ...]:
    """Names of the classes of mask files with these `numbers`, of which the first is background."""
    if tuple(numbers) == (0, 1):
        return "background", "foreground"
    return "background", *map(str, numbers[1:])


def _is_name(label: str) -> bool:
    """Whether a class has a name of its own."""
    return label not in ("background", "foreground") and not label.isdecimal()


UNLABELED = -1  # pixel without a label: ignored by losses and metrics


@dataclass(frozen=True)
class Segmentation(Task):
    """Segmentation with `n_outputs` classes a pixel; by convention 0 is background.

    Targets are 0 ... k-1 on the grid of the image, -1 where unlabeled. Where the `spacing` of
    pixels is known (mm), as it is for volumes, the surface distance is a further metric.
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
        """Masks `n h w` of class numbers, where 0 is background."""
        if y.ndim != 3 or y.dtype.kind not in "iub":
            raise DataError(f"Masks are n h w of class numbers, not {y.shape} of {y.dtype}.")
        there = sorted({0, *map(int, np.unique(y))})
        if there == list(range(len(there))):
            names = labels or ["background", *(f"class {i}" for i in there[1:] or [1])]
        else:
            names = labels or list(mask_labels(there))
        numbers = mask_numbers(names)
        numbers = numbers if set(there) <= set(numbers) else tuple(range(len(names)))
        if not set(there) <= set(numbers):
            raise DataError(
                f"Masks hold numbers from {there[0]} to {there[-1]}, and there are {len(names)} "
                "labels, of which the first is background."
            )
        return torch.from_numpy(np.searchsorted(numbers, y).astype(np.uint8)), names

    def unpack(self, target: Integer[Tensor, "n *s"]) -> Int64[Tensor, "n *s"]:
        """Masks as int64 from 8 bits."""
        return target.long()

    def resize(self, target: Integer[Tensor, "n h w"], form: Form) -> Integer[Tensor, "n s s"]:
        """Nearest-neighbor resampling."""
        if form.size is None:
            return target
        side = (form.size, form.size)
        found = F.interpolate(target[:, None].float(), side, mode="nearest-exact")
        return found[:, 0].to(target.dtype)

    def renumber(
        self, target: Integer[Tensor, "n *s"], labels: Sequence[str], wanted: Sequence[str]
    ) -> Integer[Tensor, "n *s"]:
        """Indices in `wanted`: by name if all are named there, else by the numbers of mask files.

        Raises:
            DataError: the model has other names, or does not have a number.
        """
        numbers, known = mask_numbers(labels), mask_numbers(wanted)
        if set(labels) <= set(wanted):
            numbers, known = tuple(map(wanted.index, labels)), tuple(range(len(wanted)))
        named = [label for label in labels if _is_name(label) and label not in wanted]
        if named and any(map(_is_name, wanted)):
            raise DataError(
                f"The masks have {', '.join(named)}, and the model knows {', '.join(wanted)}. "
                "Take masks of these, or call the classes by its names."
            )
        strange = [str(number) for number in numbers if number not in known]
        if strange:
            raise DataError(
                f"The masks hold the numbers {', '.join(strange)}, and the model knows "
                f"{len(wanted)} classes, {', '.join(wanted)}. Take masks of these."
            )
        if numbers == known[: len(numbers)]:
            return target
        new = torch.tensor([*map(known.index, numbers), UNLABELED])
        return new[target.long()].to(target.dtype)  # -1, unlabeled, is the last

    def check(self, target: Shaped[Tensor, "n ..."]) -> None:
        """Check that every class has a pixel in the support, and that there are at least two."""
        if target.ndim < 3 or target.dtype != torch.int64:
            raise DataError(
                "A target is a mask with a class number a pixel (int64 of shape n h w, or n z h w "
                f"for volumes), not {target.dtype} of shape {tuple(target.shape)}."
            )
        if self.n_outputs < 2:
            raise DataError(
                "The masks hold only one class, so there is nothing to tell apart. Mark the "
                "foreground with 1, and all else with 0."
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
            if absent == [0]:
                raise DataError(
                    "0, which is background, is in no mask of the support. Write 0 where nothing "
                    "is marked."
                )
            raise DataError(
                f"Classes {absent} are in no mask of the support (counted from 0, background). Add "
                "an image that shows them, or leave these classes out. If their areas are small, "
                "they are lost in images of few pixels: take a larger one (--set encoder.size=...)."
            )

    def loss(
        self, output: Float[Tensor, "n k *s"], target: Int[Tensor, "n *s"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy over the labeled pixels plus soft Dice loss.

        Source: the sum is that of Isensee et al. 2021, nnU-Net, doi:10.1038/s41592-020-01008-z. The
        Dice score of a class is over all images together; the loss is the mean over classes.
        """
        known = target != UNLABELED
        entropies = F.cross_entropy(output, target, ignore_index=UNLABELED, reduction="sum")
        dice = soft_dice(self.decode(output), target, known)
        return entropies / known.sum().clamp(min=1) + 1 - dice

    def encode(self, target: Int[Tensor, "n"], like: Tensor) -> Float[Tensor, "n k"]:
        """One-hot labels of labeled pixels."""
        return one_hot(target, self.n_outputs, like)

    def decode(self, output: Float[Tensor, "n k *s"]) -> Float[Tensor, "n k *s"]:
        """Softmax over classes at every pixel."""
        return output.softmax(1)

    def to_prediction(
        self, output: Float[Tensor, "k *s"], path: Path, card: Card
    ) -> MaskPrediction:
        """Number of the likeliest class of every pixel of the file; scores are resampled to it.

        Of a volume, in the storage order of its file.
        """
        scores = self.decode(output[None])
        grid = card.preprocessing.grid(path)
        flat = card.preprocessing.dims == 2
        spread = F.interpolate(
            scores, grid, mode="bilinear" if flat else "trilinear", antialias=flat
        )
        numbers = np.array(mask_numbers(card.labels))
        kind = np.uint8 if numbers[-1] < 256 else np.uint16
        mask = numbers.astype(kind)[spread.argmax(1)[0].cpu().numpy()]
        if isinstance(card.preprocessing, Storing):
            mask = np.ascontiguousarray(card.preprocessing.stored(mask, path))
        return MaskPrediction(str(path), mask, card.labels)

    def metric_inputs(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """Pixel counts, a row an image: true positives, predicted, true."""
        claim = decoded.argmax(1)
        rows = len(target)
        counts = overlap_counts(claim.reshape(rows, -1), target.reshape(rows, -1), self.n_outputs)
        if self.spacing is None:
            return counts
        return *counts, surface_distances(claim, target, self.n_outputs, self.spacing)


def soft_dice(
    probabilities: Float[Tensor, "n k *s"], target: Int[Tensor, "n *s"], known: Tensor
) -> Float[Tensor, ""]:
    """Soft Dice score 2 sum p t / (sum p + sum t) over labeled pixels, the mean over classes.

    One is added to numerator and denominator: a class that is absent and not predicted scores 1.
    """
    k = probabilities.shape[1]
    truth = torch.stack([target == c for c in range(k)], 1).to(probabilities)
    mask = known[:, None].to(probabilities)
    over = [d for d in range(probabilities.ndim) if d != 1]
    both = (probabilities * truth * mask).sum(over)
    either = (probabilities * mask).sum(over) + (truth * mask).sum(over)
    return ((2 * both + 1) / (either + 1)).mean()
