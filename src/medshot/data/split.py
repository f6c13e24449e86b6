"""Two halves that share nothing they must not share: by patient, or by class."""

import warnings

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from medshot.core.errors import DataError, LeakError
from medshot.data.dataset import Dataset


def patient_folds(dataset: Dataset, folds: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """(rest, fold) positions for each of `folds` folds: no patient on both sides.

    Classes are spread over the folds as evenly as the patients allow. An image whose patient is
    not known counts as a patient of its own.
    """
    groups = dataset.groups.numpy().copy()
    unknown = groups < 0
    groups[unknown] = groups.max(initial=0) + 1 + np.arange(unknown.sum())
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer images of a class than folds: allowed here
        pairs = list(splitter.split(groups, dataset.y.numpy(), groups))
    return [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in pairs]


def split_patients(dataset: Dataset, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """`dataset` without and with about `share` of its patients.

    Raises:
        DataError: a class would be left with no image on one side.
    """
    rest, held = patient_folds(dataset, max(2, round(1 / share)), seed)[0]
    parts = dataset.subset(rest), dataset.subset(held)
    for part in parts:
        empty = [label for label, n in part.counts().items() if n == 0]
        if empty:
            raise DataError(
                f"{dataset.name}: class(es) {', '.join(empty)} have too few patients (or images) "
                "to be on both sides of a split. Add some."
            )
    refuse_shared_patients(*parts)
    return parts


def split_classes(dataset: Dataset, share: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """`dataset` without and with about `share` of its classes: for meta-learning."""
    order = np.random.default_rng(seed).permutation(len(dataset.labels))
    cut = len(order) - max(1, round(share * len(order)))
    return dataset.only(sorted(order[:cut])), dataset.only(sorted(order[cut:]))


def refuse_shared_patients(first: Dataset, second: Dataset) -> None:
    """Raise `LeakError` if a patient is in both."""
    known = first.groups[first.groups >= 0]
    shared = second.groups[torch.isin(second.groups, known)].unique()
    if len(shared):
        raise LeakError(
            f"{len(shared)} patient(s) are in both parts of {first.name}. Split by patient: "
            "`medshot.split_patients(dataset)`."
        )
