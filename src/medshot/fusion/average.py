"""Weights of a mean, fitted to images that no member has learnt from."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from medshot.core.task import Task
from medshot.fusion.descend_fully import minimise
from medshot.nn.ensemble import mixed


def equal_scores(members: int) -> Float[Tensor, "m"]:
    """Scores of a plain mean."""
    return torch.zeros(members)


def fit_scores(
    outputs: Float[Tensor, "m n k *s"], y: Shaped[Tensor, "n ..."], task: Task
) -> Float[Tensor, "m"]:
    """The scores whose softmax, as weights of the mean, makes the task's loss smallest.

    Source: Breiman 1996, doi:10.1007/BF00117832 (stacked regressions: no weight is negative).
    Where we differ: what is averaged are probabilities, where there are any; weights add up to 1;
    and each member begins with one image on its side (a Dirichlet prior of 2), so that few images
    do not give all the weight to one member.
    """
    scores = torch.zeros(len(outputs), dtype=outputs.dtype)
    link = str(task.link)

    def loss() -> Tensor:
        prior = -scores.log_softmax(0).sum() / len(y)
        return task.loss(mixed(outputs, scores, link), y) + prior

    minimise(loss, [scores])
    return scores.float()
