"""Ordinal classification: one of k ordered grades an image; weighted kappa and other metrics."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import Card, Metric, Prediction, Task
from medshot.tasks.classification import check_classes, class_numbers
from medshot.tasks.multi_label import bernoulli_kl


def median_grade(p: Float[ndarray, "n k"]) -> Int[ndarray, "n"]:
    """Median of the predicted distribution: the first grade with cumulative probability >= 0.5.

    It minimizes the expected absolute error in grades.
    """
    return (p.cumsum(1)[:, :-1] < 0.5).sum(1)


def quadratic_weighted_kappa(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """Cohen's kappa with quadratic weights.

    1 is perfect, 0 is chance level. NaN where neither predictions nor targets vary.

    Source: Cohen 1968, doi:10.1037/h0026256, with squared distances as weights.
    """
    said = median_grade(p)
    expected = np.square(said).mean() + np.square(y).mean() - 2 * said.mean() * y.mean()
    return float(1 - np.square(said - y).mean() / expected) if expected > 0 else float("nan")


def balanced_accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """Mean recall over grades."""
    right = median_grade(p) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def mean_error(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """Mean absolute error in grades. Lower is better."""
    return float(np.abs(median_grade(p) - y).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {
        "quadratic weighted kappa": quadratic_weighted_kappa,
        "balanced accuracy": balanced_accuracy,
        "mean absolute error (grades)": mean_error,
    }
)


class Ordinal(Task):
    """Ordinal classification with `n_outputs` + 1 grades; targets are 0 ... n_outputs in order.

    An output is the logit of a threshold: is the grade above 0, above 1, ...? So any learner with
    real-valued outputs can learn grades, and no distance between them is assumed.

    Source: Frank & Hall 2001, doi:10.1007/3-540-44795-4_13 (grades as binary thresholds). Where we
    differ: thresholds are learned independently and can contradict each other (above 2, but not
    above 1), so their probabilities are sorted, which never increases the error (Chernozhukov,
    Fernandez-Val & Galichon 2010, doi:10.3982/ECTA7880); and the prediction is the median grade,
    not the most probable one.
    """

    kind = "ordinal"
    link = "sigmoid"
    metrics = METRICS
    lowest = MappingProxyType({"quadratic weighted kappa": -1.0})

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """Grade numbers, or grade names in the order of `labels` (default: sorted)."""
        return class_numbers(y, labels, cls.kind)

    def sized(self, n_labels: int, target: Tensor) -> "Ordinal":
        """The task with one output fewer than there are grades."""
        del target
        return replace(self, n_outputs=n_labels - 1)

    def check(self, target: Shaped[Tensor, "..."]) -> None:
        """Check that every grade has an example, and that there are at least two."""
        check_classes(target, self.n_outputs + 1)

    def loss(self, output: Float[Tensor, "n k"], target: Int[Tensor, "n"]) -> Float[Tensor, ""]:
        """Logistic loss, the mean over thresholds and images.

        Source: the all-threshold loss of Rennie & Srebro 2005 ("Loss functions for preference
        levels"), as a mean in place of a sum.
        """
        return F.binary_cross_entropy_with_logits(output, self._above(target).to(output))

    def divergence(
        self, output: Float[Tensor, "n k"], other: Float[Tensor, "n k"], temperature: float = 1.0
    ) -> Float[Tensor, ""]:
        """Bernoulli KL divergence, the mean over thresholds and images."""
        return bernoulli_kl(output, other, temperature)

    def encode(self, target: Int[Tensor, "n"], like: Tensor) -> Float[Tensor, "n k"]:
        """0.5 where the grade is above 0, above 1, ..., -0.5 where it is not."""
        return self._above(target).to(like) - 0.5

    def decisions(
        self, decoded: Float[ndarray, "n g"], target: Int[ndarray, "n"]
    ) -> tuple[Bool[ndarray, "n g"], Bool[ndarray, "n g"]]:
        """One-hot true grade and one-hot median grade."""
        each = np.eye(decoded.shape[1], dtype=bool)
        return each[target], each[median_grade(decoded)]

    def decode(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n grades"]:
        """The probability of each grade."""
        above = output.sigmoid().sort(1, descending=True).values
        return -F.pad(F.pad(above, (1, 0), value=1.0), (0, 1)).diff(dim=1)

    def to_prediction(self, output: Float[Tensor, "k"], path: Path, card: Card) -> Prediction:
        """The median grade, and the probability of each."""
        found = self.decode(output[None]).cpu().numpy()
        label = card.labels[int(median_grade(found)[0])]
        return Prediction(str(path), label, dict(zip(card.labels, found[0].tolist(), strict=True)))

    def present_classes(self, target: Int[Tensor, "n"]) -> Bool[Tensor, "n grades"]:
        """Which grade an image has."""
        return target[:, None] == torch.arange(self.n_outputs + 1, device=target.device)

    def chance(self, metric: str) -> float | None:
        """0 for kappa, 1 / number of grades for balanced accuracy."""
        known = {"quadratic weighted kappa": 0.0, "balanced accuracy": 1 / (self.n_outputs + 1)}
        return known.get(metric)

    def _above(self, target: Int[Tensor, "n"]) -> Bool[Tensor, "n k"]:
        return target[:, None] > torch.arange(self.n_outputs, device=target.device)
