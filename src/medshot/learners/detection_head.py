"""Detection with any learner on features: classify sites as object center or background."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.core.errors import TaskError
from medshot.core.predictor import Predictor
from medshot.core.registry import called
from medshot.core.task import Task
from medshot.inner.closed_form import ridge_weights
from medshot.nn.detectors import Centers
from medshot.nn.heads import Head, sites
from medshot.tasks import Segmentation
from medshot.tasks.boxes import labelled, mean_sizes, paint
from medshot.tasks.detection import RARE, TYPICAL, detection, shift

PENALTY = 0.1  # of the size regression, relative to the mean square of the features

Fit = Callable[[nn.Module, Float[Tensor, "n f"], Int[Tensor, "n"], Task], Predictor]


def at_centers(
    fit: Fit,
    encoder: nn.Module,
    z: Float[Tensor, "n f h w"],
    boxes: Float[Tensor, "n m 5"],
    task: Task,
) -> Centers:
    """Build a detector around the head that `fit` learns on centers, their rims and background.

    The score threshold of each class maximizes F1 on the support. The log size of a box is the
    class mean plus a ridge regression of the residual on the features near the center.

    Raises:
        TaskError: `fit` returned a predictor that is not a head on features.
    """
    boxes_task = detection(task)
    k, grid = boxes_task.n_classes, (z.shape[2], z.shape[3])
    where, label = labelled(boxes, k, grid)
    kinds, number = label.unique(return_inverse=True)  # small boxes have no rim
    rows = sites(z)
    head = fit(encoder, rows[where], number, Segmentation(len(kinds)))
    if not isinstance(head, Head):
        raise TaskError(f"{called(head)} is not a head on features; detection needs one.")
    means = mean_sizes(boxes, k).to(z)
    near = label < k
    sides = sites(paint(boxes, k, grid, like=z)[1])[where[near]]
    weight, bias = _regression(rows[where[near]], sides.log() - means[label[near]])
    found = Centers(head, means, weight, bias, torch.zeros(k).to(z), RARE, TYPICAL)
    found.offset = shift(boxes_task, found.maps(z), boxes)
    return found


def _regression(
    z: Float[Tensor, "n f"], targets: Float[Tensor, "n 2"]
) -> tuple[Float[Tensor, "f 2"], Float[Tensor, "2"]]:
    """Ridge regression; returns the weights and the unpenalized intercept."""
    middle, mean = z.mean(0), targets.mean(0)
    centred = z - middle
    penalty = PENALTY * centred.square().sum() / z.shape[1] + torch.finfo(z.dtype).eps
    weight = ridge_weights(centred, targets - mean, penalty)
    return weight, mean - middle @ weight
