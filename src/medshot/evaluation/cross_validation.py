"""Cross-validation of a learner on a support set, and predictions of a labeled data set.

Each image is predicted by a predictor that saw neither it nor any other image of its patient.
`medshot.evaluation.intervals` has the intervals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import (
    DataError,
    Examples,
    Learner,
    Predictor,
    Task,
    any_tensor,
    called,
    eval_mode,
)
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.data.split import fewest_groups, grouped_folds, rarest
from medshot.evaluation.episodes import with_cached_encoders
from medshot.evaluation.intervals import Sample
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
    fold: Int[ndarray, "n"] | None = None  # of each image; None if one predictor answered to all

    def interval(self, metric: str) -> Interval:
        """A metric over all images, with its 95% interval over patients."""
        return self.sample.interval(metric)

    def minus(self, other: "OutOfFold", metric: str) -> Interval:
        """Paired difference to another model's metric on the same images."""
        return self.sample.minus(other.sample, metric)

    @cached_property
    def evidence(self) -> tuple[ndarray, ...]:
        """Inputs of the metrics, one row per image."""
        return self.task.metric_inputs(self.decoded, self.y)

    @cached_property
    def sample(self) -> Sample:
        """The evidence with its patients, for scores with intervals."""
        return Sample(self.evidence, self.groups, self.strata, self.task, self.fold)

    def draws(self) -> Iterator[Int[ndarray, "m"]]:
        """Image indices of each bootstrap draw of patients: the same at every call."""
        return drawn_again(self.groups, self.strata, DRAWS)


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
    learner: Learner,
    dataset: Dataset,
    seed: int = 0,
    *,
    folds: Sequence[tuple[Tensor, Tensor]] | None = None,
    watch: Watch = quiet,
) -> OutOfFold:
    """Cross-validate `learner` on `dataset`, by patient, in at most 5 folds, or in these `folds`.

    Raises:
        DataError: a class has images of one patient only, so nothing can be left out.
    """
    encoder = learner.encoder
    channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
    fitted = dataset.at(channels, size) if channels and size else dataset
    shows = fitted.present_classes()
    folds = even_folds(shows, fitted.groups, seed) if folds is None else folds
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
                    output = predictor.predict_batches(fitted.examples(some).x)
                    answers.append(card.task.decode(output.double()))
            fit_done(called(learner))
            tick(done, None)
    order = torch.cat([held for _, held in folds]).argsort()
    found = torch.cat(answers)[order].numpy()
    y, own = fitted.examples().y.numpy(), own_groups(fitted.groups).numpy()
    numbers = np.repeat(np.arange(len(folds)), [len(held) for _, held in folds])[order.numpy()]
    return OutOfFold(found, y, own, len(folds), fitted.task, rarest(shows).numpy(), numbers)


def even_folds(
    shows: Bool[Tensor, "n k"], groups: Int[Tensor, "n"], seed: int = 0
) -> list[tuple[Tensor, Tensor]]:
    """(train, held-out) indices by patient, with the shares of the classes as equal as can be.

    If the folds had different shares, a class would be tested most by the predictors that learned
    least of it, and scores would be below chance without any signal. So there are as few folds as
    hold no more patients of the rarest class each than 5 would (6 patients: 3 folds, not 5), and
    folds with one more of a class are the same for all. Without classes there are up to 5. Empty
    if no such split exists.
    """
    fewest = fewest_groups(shows, groups)
    if fewest < 2:
        return []
    strata, own = rarest(shows).numpy(), own_groups(groups).numpy()
    alike = len(np.unique(strata)) == 1
    most = min(FOLDS, fewest) if alike else -(-fewest // -(-fewest // FOLDS))
    for again in range(AGAIN):
        fold = torch.from_numpy(_dealt(strata, own, most, seed + again))
        pairs = [((fold != f).nonzero()[:, 0], (fold == f).nonzero()[:, 0]) for f in range(most)]
        if all(len(held) and shows[rest].any(0).all() for rest, held in pairs):
            return pairs
    return folds_of(shows, groups, seed, most)


def _dealt(
    strata: Int[ndarray, "n"], groups: Int[ndarray, "n"], folds: int, seed: int
) -> Int[ndarray, "n"]:
    """Fold of each image: the patients of a class, large ones first, each to the emptiest fold."""
    patients, sizes = np.unique(groups, return_counts=True)
    images = np.bincount(strata)
    classes = [min(strata[groups == g], key=lambda c: (images[c], c)) for g in patients]
    order = np.random.default_rng(seed).permutation(len(patients))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load, fold = np.zeros((len(images), folds)), np.zeros(len(groups), np.int64)
    for i in order:
        emptiest = load[classes[i]].argmin()
        load[classes[i], emptiest] += sizes[i]
        fold[groups == patients[i]] = emptiest
    return fold


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
    own, images = (
        own_groups(dataset.groups),
        zip(dataset.labels, dataset.present_classes().T, strict=False),
    )
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
            output = predictor.predict_batches(shown.x if change is None else change(shown))
            found.append(task.decode(output.double()).cpu())
            tick(int(some[-1]) + 1, None)
    y, own = dataset.examples().y.numpy(), own_groups(dataset.groups).numpy()
    strata = rarest(dataset.present_classes()).numpy()
    return OutOfFold(torch.cat(found).numpy(), y, own, 0, task, strata)
