"""Leak-free splits: by patient, or by class."""

import warnings

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from medshot.core import ConfigError, DataError, LeakError
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups


def patient_folds(dataset: Dataset, folds: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """(rest, fold) indices for each of `folds` folds: no patient on both sides.

    Raises:
        DataError: fewer patients than folds, or no class with as many images.
    """
    if folds > _most_folds(dataset):
        raise DataError(
            f"{dataset.name} has too few patients or images for {folds} parts. Ask for fewer "
            "parts, or add some."
        )
    return grouped_folds(rarest(dataset.present_classes()), dataset.groups, folds, seed)


def grouped_folds(
    y: Int[Tensor, "n"], groups: Int[Tensor, "n"], folds: int, seed: int = 0
) -> list[tuple[Tensor, Tensor]]:
    """(rest, fold) indices: stratified folds with no group on both sides.

    Classes are balanced over the folds as far as the groups allow. An image of an unknown group
    (-1) is its own group.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415  (slow to import)

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer images of a class than folds: allowed here
        pairs = list(splitter.split(y.numpy(), y.numpy(), own_groups(groups).numpy()))
    return [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in pairs]


def fewest_groups(shows: Bool[Tensor, "n k"], groups: Int[Tensor, "n"]) -> int:
    """Number of groups of the class that is in the fewest."""
    own = own_groups(groups)
    return min(len(own[images].unique()) for images in shows.T)


def rarest(shows: Bool[Tensor, "n k"]) -> Int[Tensor, "n"]:
    """Rarest class of each image, for stratification."""
    counts = shows.sum(0).expand(len(shows), -1)
    return torch.where(shows, counts, len(shows) + 1).argmin(1)


def split_patients(dataset: Dataset, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split off about `share` of the patients of `dataset` (more, where they are very few).

    Raises:
        ConfigError: `share` is not above 0 and at most 0.5.
        DataError: a class would be left with no image on one side.
    """
    _check_share(share)
    empty: list[str] = []
    folds = max(2, min(round(1 / share), _most_folds(dataset)))
    for rest, held in patient_folds(dataset, folds, seed):
        parts = dataset.subset(rest), dataset.subset(held)
        empty = [label for part in parts for label, n in part.counts().items() if n == 0]
        if not empty:
            refuse_shared_patients(*parts)
            return parts
    raise DataError(
        f"{dataset.name}: class(es) {', '.join(empty)} have too few patients (or images) "
        "to be on both sides of a split. Add some."
    )


def split_classes(dataset: Dataset, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split off about `share` of the classes of `dataset`, for meta-learning.

    A patient with images of classes on both sides stays on the first side only.

    Raises:
        ConfigError: `share` is not above 0 and at most 0.5.
        DataError: there is only one class.
    """
    _check_share(share)
    if len(dataset.labels) < 2:
        raise DataError(f"{dataset.name} has one class: it cannot be split by class. Add some.")
    order = np.random.default_rng(seed).permutation(len(dataset.labels))
    cut = len(order) - max(1, round(share * len(order)))
    first, second = (dataset.only(sorted(part.tolist())) for part in (order[:cut], order[cut:]))
    known = first.groups[first.groups >= 0]
    return first, second.subset((~torch.isin(second.groups, known)).nonzero().flatten())


def refuse_shared_patients(first: Dataset, second: Dataset) -> None:
    """Raise `LeakError` if a patient is in both."""
    known = first.groups[first.groups >= 0]
    shared = second.groups[torch.isin(second.groups, known)].unique()
    if len(shared):
        raise LeakError(
            f"{len(shared)} patient(s) are in both parts of {first.name}. Split by patient: "
            "`medshot.split_patients(dataset)`."
        )


def _most_folds(dataset: Dataset) -> int:
    largest = int(rarest(dataset.present_classes()).bincount().max())
    return min(largest, len(own_groups(dataset.groups).unique()))


def _check_share(share: float) -> None:
    if not 0 < share <= 0.5:
        raise ConfigError(
            f"A share of {share} cannot be split off. It must be above 0, at most 0.5."
        )
