"""How well a learner does on a support set, from the support set alone.

Each image is predicted by a predictor that saw neither it nor any other image of its patient.
With a dozen images the interval is wide, and says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from medshot.core.errors import DataError
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.split import fewest_groups, own_groups, patient_folds
from medshot.evaluation.metrics import METRICS
from medshot.evaluation.statistics import Interval

FOLDS = 5
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The answer for every image by a predictor that did not learn from its patient."""

    probabilities: Float[ndarray, "n k"]
    y: Int[ndarray, "n"]
    groups: Int[ndarray, "n"]
    folds: int

    def interval(self, metric: str) -> Interval:
        """A metric over all images, with a bootstrap interval over patients."""
        return self._interval(
            lambda index: METRICS[metric](self.probabilities[index], self.y[index])
        )

    def minus(self, other: "OutOfFold", metric: str) -> Interval:
        """The paired difference to another learner on the same folds."""

        def difference(index: ndarray) -> float:
            mine, theirs = (o.probabilities[index] for o in (self, other))
            return METRICS[metric](mine, self.y[index]) - METRICS[metric](theirs, self.y[index])

        return self._interval(difference)

    def _interval(self, value: Callable[[ndarray], float]) -> Interval:
        """Percentiles of `value` over draws of patients, within each class so that none is lost."""
        everyone = np.arange(len(self.y))
        members = [everyone[self.groups == g] for g in np.unique(self.groups)]
        by_class = [
            [m for m in members if self.y[m[0]] == c] for c in range(self.probabilities.shape[1])
        ]
        rng = np.random.default_rng(0)
        drawn = [
            value(np.concatenate([units[i] for units in by_class for i in _again(rng, len(units))]))
            for _ in range(DRAWS)
        ]
        low, high = np.nanpercentile(drawn, (2.5, 97.5))
        return Interval(value(everyone), float(low), float(high), len(members))


def cross_validate(learner: Learner, dataset: Dataset, seed: int = 0) -> OutOfFold:
    """Predict each fold of `dataset` from the others; 5 folds, or as many as the rarest class has.

    Raises:
        DataError: a class has images of one patient only, so nothing can be left out.
    """
    encoder = learner.encoder
    channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
    fitted = dataset.at(channels, size) if channels and size else dataset
    folds = possible_folds(fitted)
    found = np.zeros((len(fitted), len(fitted.labels)))
    for rest, held in patient_folds(fitted, folds, seed):
        support, card = fitted.subset(rest).support(encoder)
        with torch.no_grad():
            output = learner.adapt(support, card.task)(fitted.examples(held).x)
        found[held.numpy()] = card.task.probabilities(output.double()).numpy()
    return OutOfFold(found, fitted.y.numpy(), own_groups(fitted.groups).numpy(), folds)


def possible_folds(dataset: Dataset) -> int:
    """How many folds leave every class on both sides.

    Raises:
        DataError: none does.
    """
    fewest = fewest_groups(dataset.y, dataset.groups)
    if fewest < 2:
        raise DataError(
            f"{dataset.name}: a class has images of one patient only, so none can be left out to "
            "see how well it is recognised. Add images of another patient to every class."
        )
    return min(FOLDS, fewest)


def _again(rng: np.random.Generator, n: int) -> Int[ndarray, "n"]:
    return rng.integers(0, n, n)
