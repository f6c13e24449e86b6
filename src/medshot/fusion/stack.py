"""Stacking: a linear map of what members say, fitted to images that none has learnt from."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from medshot.core.task import Task
from medshot.evaluation.cross_validation import folds_of
from medshot.fusion.descend_fully import minimise
from medshot.nn.ensemble import stacked

PENALTIES = (0.01, 0.1, 1.0, 10.0)

Map = tuple[Float[Tensor, "m k k"], Float[Tensor, "k"]]


def fit_map(
    outputs: Float[Tensor, "m n k *s"],
    y: Shaped[Tensor, "n ..."],
    groups: Int[Tensor, "n"],
    task: Task,
) -> Map:
    """The regularised map, its penalty chosen by cross-validation over patients.

    Source: Wolpert 1992, doi:10.1016/S0893-6080(05)80023-1. The penalty pulls towards the plain
    mean of the members (of their log probabilities), not towards 0: with little to learn from, an
    ensemble is what it falls back on.
    """
    folds = folds_of(task.shows(y), groups)
    if not folds:
        return _fitted(outputs, y, task, PENALTIES[-1])

    def judged(penalty: float) -> float:
        return sum(
            float(task.loss(_say(outputs[:, held], fitted, task), y[held])) * len(held)
            for rest, held in folds
            for fitted in [_fitted(outputs[:, rest], y[rest], task, penalty)]
        )

    return _fitted(outputs, y, task, min(PENALTIES, key=judged))


def plain_map(members: int, k: int) -> Map:
    """The map that gives the plain mean."""
    return torch.eye(k).expand(members, k, k).clone() / members, torch.zeros(k)


def _fitted(outputs: Tensor, y: Tensor, task: Task, penalty: float) -> Map:
    weight, bias = (t.to(outputs) for t in plain_map(len(outputs), outputs.shape[2]))
    mean = weight.clone()

    def loss() -> Tensor:
        pull = (weight - mean).square().sum() + bias.square().sum()
        return task.loss(_say(outputs, (weight, bias), task), y) + penalty * pull

    minimise(loss, [weight, bias])
    return weight.float(), bias.float()


def _say(outputs: Tensor, fitted: Map, task: Task) -> Tensor:
    weight, bias = (t.to(outputs) for t in fitted)
    return stacked(outputs, weight, bias, str(task.link))
