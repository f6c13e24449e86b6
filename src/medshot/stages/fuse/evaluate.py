"""Evaluate an ensemble and its members on the same images."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.data.split import rarest
from medshot.evaluation.cross_validation import OutOfFold, folds_of
from medshot.nn.ensemble import mixed, stacked
from medshot.stages.fuse.weights import fit_map, fit_scores, groups_of


def answers_of(output: Float[Tensor, "n k *s"], dataset: Dataset, task: Task) -> OutOfFold:
    """Outputs for all images of `dataset` as predictions for evaluation."""
    y, own = dataset.examples().y.numpy(), own_groups(dataset.groups).numpy()
    strata = rarest(dataset.shows()).numpy()
    return OutOfFold(task.decode(output).numpy(), y, own, 0, task, strata)


def best_of(outputs: Float[Tensor, "m n k *s"], shown: Examples, task: Task) -> int:
    """The member with the best leading metric on these images; of equals the first."""
    score, y = task.metrics[task.leading], shown.y.cpu().numpy()
    found = [score(*task.evidence(task.decode(o).numpy(), y)) for o in outputs]
    return int(np.argmax(found))


def left_out(
    outputs: Float[Tensor, "m n k *s"], shown: Examples, task: Task, how: str
) -> Float[Tensor, "n k *s"] | None:
    """Out-of-fold outputs of an ensemble: each image by weights fitted without its patient.

    None where a class has only one patient, so that cross-validation is impossible.
    """
    y, groups, link = shown.y.cpu(), groups_of(shown), str(task.link)
    folds = folds_of(task.shows(y), groups)
    found = torch.empty_like(outputs[0])
    for rest, held in folds:
        if how == "weighted":
            scores = fit_scores(outputs[:, rest], y[rest], task).double()
            found[held] = mixed(outputs[:, held], scores, link)
        else:
            fitted = fit_map(outputs[:, rest], y[rest], groups[rest], task)
            weight, bias = (t.double() for t in fitted)
            found[held] = stacked(outputs[:, held], weight, bias, link)
    return found if folds else None
