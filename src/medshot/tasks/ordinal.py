"""Ordinal classification: one grade an image, out of k that have an order; kappa and its kin."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.prediction import Prediction
from medshot.core.task import Card, Metric, Task
from medshot.tasks.classification import check_classes, class_numbers
from medshot.tasks.multi_label import bernoulli_kl


def median_grade(p: Float[ndarray, "n k"]) -> Int[ndarray, "n"]:
    """The first grade that, with those below it, has half of the probability or more.

    Of all answers the median is the nearest on average, in grades.
    """
    return (p.cumsum(1)[:, :-1] < 0.5).sum(1)


def quadratic_weighted_kappa(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """1 less the squared misses as a share of those that answers drawn at random would make.

    1 is perfect, 0 is chance, less than 0 is worse. NaN where neither answers nor targets differ.

    Source: Cohen 1968, doi:10.1037/h0026256, with squared distances as weights.
    """
    said = median_grade(p)
    expected = np.square(said).mean() + np.square(y).mean() - 2 * said.mean() * y.mean()
    return float(1 - np.square(said - y).mean() / expected) if expected > 0 else float("nan")


def balanced_accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """The mean over grades of the share of its images that get just this grade."""
    right = median_grade(p) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def mean_error(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """How many grades an answer is off, on average. Less is better."""
    return float(np.abs(median_grade(p) - y).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {
        "quadratic weighted kappa": quadratic_weighted_kappa,
        "balanced accuracy": balanced_accuracy,
        "mean absolute error (grades)": mean_error,
    }
)


class Ordinal(Task):
    """Which of `n_outputs` + 1 grades an image has; targets are 0 ... n_outputs, in their order.

    An output is a question: is the grade above 0, above 1, ...? So any learner of numbers learns
    grades, and no distance between them is taken for known.

    Source: Frank & Hall 2001, doi:10.1007/3-540-44795-4_13 (a grade as binary questions). Where we
    differ: questions are learned apart and can contradict each other (above 2, but not above 1), so
    their probabilities are sorted, which never takes them further from the truth (Chernozhukov,
    Fernandez-Val & Galichon 2010, doi:10.3982/ECTA7880); and the answer is the median grade, not
    the most probable one.
    """

    kind = "ordinal"
    link = "sigmoid"
    metrics = METRICS

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """Numbers of grades, or their names in the order of `labels` (sorted, if not told)."""
        return class_numbers(y, labels, cls.kind)

    def sized(self, n_labels: int, target: Tensor) -> "Ordinal":
        """One question fewer than there are grades."""
        del target
        return replace(self, n_outputs=n_labels - 1)

    def check(self, target: Shaped[Tensor, "..."]) -> None:
        """Every grade needs an example, and there must be at least two grades."""
        check_classes(target, self.n_outputs + 1)

    def loss(self, output: Float[Tensor, "n k"], target: Int[Tensor, "n"]) -> Float[Tensor, ""]:
        """The logistic loss of each question, the mean over questions and images.

        Source: the all-threshold loss of Rennie & Srebro 2005 ("Loss functions for preference
        levels"), of which it is the mean and not the sum.
        """
        return F.binary_cross_entropy_with_logits(output, self._above(target).to(output))

    def divergence(
        self, output: Float[Tensor, "n k"], other: Float[Tensor, "n k"], temperature: float = 1.0
    ) -> Float[Tensor, ""]:
        """That of every question by itself, the mean over questions and images."""
        return bernoulli_kl(output, other, temperature)

    def encode(self, target: Int[Tensor, "n"], like: Tensor) -> Float[Tensor, "n k"]:
        """A half where the grade is above 0, above 1, ..., minus a half where it is not."""
        return self._above(target).to(like) - 0.5

    def told(
        self, decoded: Float[ndarray, "n g"], target: Int[ndarray, "n"]
    ) -> tuple[Bool[ndarray, "n g"], Bool[ndarray, "n g"]]:
        """The true grade and the median one."""
        each = np.eye(decoded.shape[1], dtype=bool)
        return each[target], each[median_grade(decoded)]

    def decode(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n grades"]:
        """The probability of each grade."""
        above = output.sigmoid().sort(1, descending=True).values
        return -F.pad(F.pad(above, (1, 0), value=1.0), (0, 1)).diff(dim=1)

    def answer(self, output: Float[Tensor, "k"], path: Path, card: Card) -> Prediction:
        """The median grade, and the probability of each."""
        found = self.decode(output[None]).cpu().numpy()
        label = card.labels[int(median_grade(found)[0])]
        return Prediction(str(path), label, dict(zip(card.labels, found[0].tolist(), strict=True)))

    def shows(self, target: Int[Tensor, "n"]) -> Bool[Tensor, "n grades"]:
        """Which grade an image has."""
        return target[:, None] == torch.arange(self.n_outputs + 1, device=target.device)

    def chance(self, metric: str) -> float | None:
        """Guesses agree with nothing; one grade for all finds one in so many."""
        known = {"quadratic weighted kappa": 0.0, "balanced accuracy": 1 / (self.n_outputs + 1)}
        return known.get(metric)

    def _above(self, target: Int[Tensor, "n"]) -> Bool[Tensor, "n k"]:
        return target[:, None] > torch.arange(self.n_outputs, device=target.device)
