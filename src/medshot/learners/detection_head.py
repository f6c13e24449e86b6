"""How learners from features learn boxes: centres of objects are sites to tell from all others."""

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

PENALTY = 0.1  # of the map from features to sizes, in parts of their mean square

Fit = Callable[[nn.Module, Float[Tensor, "n f"], Int[Tensor, "n"], Task], Predictor]


def at_centers(
    fit: Fit,
    encoder: nn.Module,
    z: Float[Tensor, "n f h w"],
    boxes: Float[Tensor, "n m 5"],
    task: Task,
) -> Centers:
    """A detector around the head that `fit` fits, as to masks of centres, rims, and the rest.

    The threshold of each class is that of the best F1 on the support. The logarithm of a size is
    the mean of its class, and a ridge regression of what is left of it on the features near
    centres.
    """
    boxes_task = detection(task)
    k, grid = boxes_task.n_classes, (z.shape[2], z.shape[3])
    where, label = labelled(boxes, k, grid)
    kinds, number = label.unique(return_inverse=True)  # there may be no rims: small boxes
    rows = sites(z)
    head = fit(encoder, rows[where], number, Segmentation(len(kinds)))
    if not isinstance(head, Head):
        raise TaskError(f"{called(head)} is no head on features: boxes need one.")
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
    """Weights by ridge regression, and the bias, which is not penalised."""
    middle, mean = z.mean(0), targets.mean(0)
    centred = z - middle
    penalty = PENALTY * centred.square().sum() / z.shape[1] + torch.finfo(z.dtype).eps
    weight = ridge_weights(centred, targets - mean, penalty)
    return weight, mean - middle @ weight
