"""How good labels for whole images are. Higher is better, all are in [0, 1]."""

from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from medshot.core.task import Metric
from medshot.tasks.ranks import ranks


def accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """The share of images whose most probable class is the true one."""
    return float((p.argmax(1) == y).mean())


def balanced_accuracy(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """The mean over classes of the share of its images that are found.

    Accuracy on unbalanced classes is the majority class in disguise; this is not.
    """
    right = p.argmax(1) == y
    return float(np.mean([right[y == c].mean() for c in np.unique(y)]))


def macro_auroc(p: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> float:
    """The area under the ROC curve of each class against the rest, the mean over classes.

    By the rank sum (Hanley & McNeil 1982, Radiology 143, 29-36). NaN if a class is absent.
    """
    counts = np.bincount(y, minlength=p.shape[1])
    if (counts == 0).any() or (counts == len(y)).any():
        return float("nan")
    ranked = ranks(p)
    own = np.array([ranked[y == c, c].sum() for c in range(p.shape[1])])
    pairs = counts * (len(y) - counts)
    return float(np.mean((own - counts * (counts + 1) / 2) / pairs))


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"balanced accuracy": balanced_accuracy, "macro AUROC": macro_auroc, "accuracy": accuracy}
)
