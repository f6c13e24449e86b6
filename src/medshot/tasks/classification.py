"""Classification with one of k labels an image; metrics in [0, 1], higher is better."""

from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import Card, DataError, Metric, Prediction, ShapeError, Task


def ranks(
    values: Float[ndarray, "n *k"], ties: Literal["average", "max"] = "average"
) -> Float[ndarray, "n *k"]:
    """Rank of each number in its column, 1 for the smallest; ties share a rank."""
    flat = values.reshape(len(values), -1)
    found = np.empty(flat.shape)
    for c, column in enumerate(flat.T):
        order = np.sort(column)
        last = np.searchsorted(order, column, side="right")
        first = last if ties == "max" else np.searchsorted(order, column) + 1
        found[:, c] = (first + last) / 2
    return np.where(np.isnan(flat), np.nan, found).reshape(values.shape)


def accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """Fraction of images whose most probable class is the true one."""
    return float((p.argmax(1) == y).mean())


def balanced_accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """Mean recall over classes.

    Unlike accuracy, it does not reward predicting the majority class.
    """
    right = p.argmax(1) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def aurocs(
    p: Float[ndarray, "n k"], there: Shaped[ndarray, "n k"], fold: Int[ndarray, "n"] | None = None
) -> Float[ndarray, "k"]:
    """AUROC of each label; NaN where no image with it is compared with one without.

    From the rank sum (Hanley & McNeil 1982, Radiology 143, 29-36). Only images of one fold are
    compared: others were scored by another predictor.
    """
    own = np.zeros(len(p), np.int64) if fold is None else fold
    ranked, with_it, without = _ranked(p, there, own)
    first = np.unique(own, return_index=True)[1]  # an image of each fold
    above = (ranked * there).sum(0) - (with_it * (with_it + 1) / 2)[first].sum(0)
    pairs = (with_it * without)[first].sum(0)
    return np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def auroc_influences(
    p: Float[ndarray, "n k"], there: Shaped[ndarray, "n k"], fold: Int[ndarray, "n"]
) -> Float[ndarray, "n"]:
    """Influence of each image on the mean AUROC over labels: their sum is 0.

    From the pairs of the fold with images of the other kind that are ranked right (DeLong, DeLong
    & Clarke-Pearson 1988, Biometrics 44, 837-845; of several images of a patient the sum:
    Obuchowski 1997, Biometrics 53, 567-578).
    """
    there = there.astype(bool)
    ranked, with_it, without = _ranked(p, there, fold)
    alike = np.where(there, _ranked(np.where(there, p, -np.inf), there, fold)[0] - without, 0)
    alike += np.where(there, 0, _ranked(np.where(there, np.inf, p), there, fold)[0])
    below = ranked - alike  # images of the other kind that are ranked lower; ties count half
    won, pairs = np.where(there, (below, without), (with_it - below, with_it))
    total = (pairs * there).sum(0)
    return ((won - (won * there).sum(0) / total * pairs) / total).mean(1)


def _ranked(
    p: Float[ndarray, "n k"], there: Shaped[ndarray, "n k"], fold: Int[ndarray, "n"]
) -> tuple[Float[ndarray, "n k"], Shaped[ndarray, "n k"], Shaped[ndarray, "n k"]]:
    """Ranks in the own fold, and the numbers of its images with and without each label."""
    _, own, counts = np.unique(fold, return_inverse=True, return_counts=True)
    ranked = ranks(p)
    if len(counts) > 1:
        ranked = ranks(ranked + (len(p) + 1) * own[:, None])  # one fold after the other
        ranked = ranked - (counts.cumsum() - counts)[own][:, None]
    with_it = ((own == np.arange(len(counts))[:, None]).astype(np.int64) @ there)[own]
    return ranked, with_it, counts[own][:, None] - with_it


def macro_auroc(
    p: Float[ndarray, "n k"], y: Int[ndarray, "n"], fold: Int[ndarray, "n"] | None = None
) -> float:
    """One-vs-rest AUROC, the mean over classes. NaN if a class is absent."""
    return float(aurocs(p, np.eye(p.shape[1], dtype=bool)[y], fold).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"balanced accuracy": balanced_accuracy, "macro AUROC": macro_auroc, "accuracy": accuracy}
)


class Classification(Task):
    """Which of `n_outputs` classes an image belongs to; targets are 0 ... k-1."""

    kind = "classification"
    by_class = True
    link = "softmax"
    metrics = METRICS
    ranking = MappingProxyType({"macro AUROC": auroc_influences})

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """Class numbers, or class names."""
        return class_numbers(y, labels, cls.kind)

    def counts(self, target: Int[Tensor, "n"]) -> list[int]:
        """Images a class."""
        return torch.bincount(target, minlength=self.n_outputs).tolist()

    def check(self, target: Shaped[Tensor, "..."]) -> None:
        """Every class needs an example, and there must be at least two classes."""
        check_classes(target, self.n_outputs)

    def loss(self, output: Float[Tensor, "n k"], target: Int[Tensor, "n"]) -> Float[Tensor, ""]:
        """Cross-entropy, the mean over images."""
        return F.cross_entropy(output, target)

    def encode(self, target: Int[Tensor, "n"], like: Tensor) -> Float[Tensor, "n k"]:
        """One-hot labels."""
        return one_hot(target, self.n_outputs, like)

    def decode(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Softmax."""
        return output.softmax(1)

    def to_prediction(self, output: Float[Tensor, "k"], path: Path, card: Card) -> Prediction:
        """The most probable label, and the probabilities of all."""
        values = self.decode(output[None])[0].tolist()
        best = max(range(len(values)), key=values.__getitem__)
        return Prediction(str(path), card.labels[best], dict(zip(card.labels, values, strict=True)))

    def decisions(
        self, decoded: Float[ndarray, "n k"], target: Int[ndarray, "n"]
    ) -> tuple[Bool[ndarray, "n k"], Bool[ndarray, "n k"]]:
        """One-hot true class and one-hot predicted class."""
        each = np.eye(decoded.shape[1], dtype=bool)
        return each[target], each[decoded.argmax(1)]

    def chance(self, metric: str) -> float:
        """1/k for accuracies, 0.5 for AUROC."""
        return 0.5 if "AUROC" in metric else 1 / self.n_outputs


def one_hot(y: Int[Tensor, "n"], k: int, like: Tensor) -> Float[Tensor, "n k"]:
    """One-hot labels with the device and dtype of `like`."""
    return torch.eye(k, dtype=like.dtype, device=like.device)[y]


def one_an_image(y: ndarray, kind: str) -> Shaped[ndarray, "n"]:
    """Targets as a vector. Raises `ShapeError` unless there is one an image."""
    if y.size != len(y):
        raise ShapeError(f"Targets of shape {y.shape}: for {kind} one an image.")
    return y.reshape(len(y))


def class_numbers(
    y: ndarray, labels: list[str] | None, kind: str
) -> tuple[Int[Tensor, "n"], list[str]]:
    """Class numbers and class names of an array; without `labels`, names are the sorted values.

    Raises:
        DataError: a class is not among the labels, or `y` holds floating-point numbers.
        ShapeError: there is not one an image.
    """
    flat = one_an_image(y, kind)
    if flat.dtype.kind == "f":
        raise DataError("Classes are names or whole numbers; for numbers say task='regression'.")
    if flat.dtype.kind in "iu" and labels is not None:
        if flat.min() < 0 or flat.max() >= len(labels):
            raise DataError(
                f"Class numbers go from {flat.min()} to {flat.max()}, and there are {len(labels)} "
                "labels, numbered from 0."
            )
        return torch.from_numpy(flat.astype(np.int64)), labels
    names = labels or [str(value) for value in sorted(set(flat.tolist()))]
    said = [str(value) for value in flat.tolist()]
    if others := sorted(set(said) - set(names)):
        raise DataError(f"{', '.join(others)} is not among the labels {', '.join(names)}.")
    return torch.tensor([names.index(value) for value in said]), names


def check_classes(target: Shaped[Tensor, "..."], k: int) -> None:
    """Raise `DataError` unless these are class numbers and each of `k` classes is present."""
    if target.ndim != 1 or target.is_floating_point():
        raise DataError(
            f"A target is one class number an image (int64 of shape n), not {target.dtype} of "
            f"shape {tuple(target.shape)}."
        )
    if k < 2:
        raise DataError(
            "There is only one class, so there is nothing to tell apart. Add a class "
            "(for example `normal`), each with at least one image."
        )
    outside = target[(target < 0) | (target >= k)]
    if len(outside):
        raise DataError(
            f"Label {int(outside[0])} is outside 0 ... {k - 1}. Number the "
            "classes from 0 without gaps."
        )
    seen = torch.bincount(target, minlength=k)
    if (seen == 0).any():
        absent = (seen == 0).nonzero().flatten().tolist()
        raise DataError(
            f"Class number(s) {absent} have no image in the support. Add one to each, or "
            "leave these classes out."
        )
