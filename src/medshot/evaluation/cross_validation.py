"""Cross-validation of a learner on a support set, and predictions of a labeled data set.

Each image is predicted by a predictor that saw neither it nor any other image of its patient.
Intervals are of a bootstrap over patients; with a dozen images they are wide.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import DataError, Examples, Learner, Predictor, Task, any_tensor, eval_mode
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.data.split import fewest_groups, grouped_folds, rarest
from medshot.evaluation.episodes import with_cached_encoders
from medshot.evaluation.statistics import Interval
from medshot.training.progress import Watch, fit_done, quiet

FOLDS = 5
DRAWS = 1000
AT_ONCE = 32  # batch size
AGAIN = 10  # reshuffles to try if a training part lacks a class


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Out-of-fold predictions: each image is predicted without its patient in training."""

    decoded: Float[ndarray, "n ..."]
    y: Shaped[ndarray, "n ..."]
    groups: Int[ndarray, "n"]
    folds: int
    task: Task
    strata: Int[ndarray, "n"]  # class of each image; with several, the rarest

    def interval(self, metric: str) -> Interval:
        """A metric over all images, with a bootstrap interval over patients."""
        value = self.task.metrics[metric](*self.evidence)
        return self.around(value, self._drawn[metric])

    def minus(self, other: "OutOfFold", metric: str) -> Interval:
        """Paired difference to another model's metric, on the same bootstrap draws."""
        value = self.interval(metric).mean - other.interval(metric).mean
        return self.around(value, self._drawn[metric] - other._drawn[metric])

    @cached_property
    def evidence(self) -> tuple[ndarray, ...]:
        """Inputs of the metrics, one row per image."""
        return self.task.evidence(self.decoded, self.y)

    def around(self, value: float, drawn: Float[ndarray, "draws"]) -> Interval:
        """Central 95% of the bootstrap values `drawn`, extended to include `value`."""
        n = len(np.unique(self.groups))
        if not np.isfinite(drawn).any():
            return Interval(value, float("nan"), float("nan"), n)
        low, high = np.nanpercentile(drawn, (2.5, 97.5))
        return Interval(value, min(float(low), value), max(float(high), value), n)

    def draws(self) -> Iterator[Int[ndarray, "m"]]:
        """Image indices of each bootstrap draw of patients: the same at every call."""
        return drawn_again(self.groups, self.strata, DRAWS)

    @cached_property
    def _drawn(self) -> dict[str, Float[ndarray, "draws"]]:
        """Every metric over the bootstrap draws."""
        drawn = [[rows[index] for rows in self.evidence] for index in self.draws()]
        return {
            metric: np.array([score(*rows) for rows in drawn])
            for metric, score in self.task.metrics.items()
        }


def drawn_again(
    groups: Int[ndarray, "n"], strata: Int[ndarray, "n"], draws: int
) -> Iterator[Int[ndarray, "m"]]:
    """Stratified bootstrap of patients: image indices of each draw.

    A patient's stratum is its rarest class, so that no class is lost.
    """
    everyone = np.arange(len(groups))
    members = [everyone[groups == g] for g in np.unique(groups)]
    images = np.bincount(strata)
    rarest = np.array([min(strata[m], key=lambda c: (images[c], c)) for m in members])
    among = [np.flatnonzero(rarest == c) for c in np.unique(rarest)]
    rng = np.random.default_rng(0)
    for _ in range(draws):
        chosen = [s[rng.integers(0, len(s), len(s))] for s in among]
        yield np.concatenate([members[i] for i in np.concatenate(chosen)])


def cross_validate(
    learner: Learner, dataset: Dataset, seed: int = 0, *, watch: Watch = quiet
) -> OutOfFold:
    """Cross-validate `learner` on `dataset`, by patient.

    The number of folds is 5, or the number of patients of the rarest class if smaller.

    Raises:
        DataError: a class has images of one patient only, so nothing can be left out.
    """
    encoder = learner.encoder
    channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
    fitted = dataset.at(channels, size) if channels and size else dataset
    shows = fitted.shows()
    folds = folds_of(shows, fitted.groups, seed)
    if not folds:
        raise _too_few(fitted)
    answers: list[Tensor] = []
    learner = with_cached_encoders(learner)
    with watch(len(folds), 0) as tick:
        for done, (rest, held) in enumerate(folds, 1):
            support, card = fitted.subset(rest).support(encoder)
            with torch.no_grad():
                predictor = learner.adapt(support, card.task)
                for some in held.split(AT_ONCE):
                    output = predictor.answer_all(fitted.examples(some).x)
                    answers.append(card.task.decode(output.double()))
            fit_done()
            tick(done, None)
    order = torch.cat([held for _, held in folds]).argsort()
    found = torch.cat(answers)[order].numpy()
    y, own = fitted.examples().y.numpy(), own_groups(fitted.groups).numpy()
    return OutOfFold(found, y, own, len(folds), fitted.task, rarest(shows).numpy())


def folds_of(
    shows: Bool[Tensor, "n k"], groups: Int[Tensor, "n"], seed: int = 0, most: int = FOLDS
) -> list[tuple[Tensor, Tensor]]:
    """(train, held-out) indices by patient, every class in every training part.

    At most `most` folds; empty if no such split exists.
    """
    for folds in range(min(most, fewest_groups(shows, groups)), 1, -1):
        for again in range(AGAIN):
            pairs = grouped_folds(rarest(shows), groups, folds, seed + again)
            if all(len(held) and shows[rest].any(0).all() for rest, held in pairs):
                return pairs
    return []


def _too_few(dataset: Dataset) -> DataError:
    own, images = own_groups(dataset.groups), zip(dataset.labels, dataset.shows().T, strict=False)
    single = [repr(label) for label, those in images if len(own[those].unique()) < 2]
    unit = "patient" if dataset.has_patients else "image"
    return DataError(
        f"{dataset.name}: {', '.join(single) or 'a class'} has too few {unit}s to leave one out "
        f"and train on another. Every class needs at least a second {unit}."
    )


@torch.no_grad()
def answered(
    predictor: Predictor,
    dataset: Dataset,
    change: Callable[[Examples], Tensor] | None = None,
    *,
    watch: Watch = quiet,
) -> OutOfFold:
    """Predict every image of `dataset`, which has the form that `predictor` takes.

    `change` replaces the images before prediction, for example by attacked ones. Two results on
    the same images can be compared, patient by patient: `after.minus(before, name)`.
    """
    task, like = predictor.known_card().task, any_tensor(predictor)
    found = []
    parts = torch.arange(len(dataset)).split(AT_ONCE)
    with eval_mode(predictor), watch(len(dataset), 0) as tick:
        for some in parts:
            shown = dataset.examples(some).to(like)
            output = predictor.answer_all(shown.x if change is None else change(shown))
            found.append(task.decode(output.double()).cpu())
            tick(int(some[-1]) + 1, None)
    y, own = dataset.examples().y.numpy(), own_groups(dataset.groups).numpy()
    strata = rarest(dataset.shows()).numpy()
    return OutOfFold(torch.cat(found).numpy(), y, own, 0, task, strata)
