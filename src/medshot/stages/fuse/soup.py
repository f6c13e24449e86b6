"""A soup: one predictor whose weights are the mean of several predictors' weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.predictor import Predictor
from medshot.core.registry import recipe


def soup(members: Sequence[Predictor]) -> Predictor:
    """The uniform soup: costs as much to run as one member.

    Source: Wortsman et al. 2022, arXiv:2203.05482. It needs members that descend from the same
    weights: fine-tuned twice, or snapshots of one descent. The mean of networks that began
    elsewhere answers nonsense, which no file can tell beforehand: judge it.

    Raises:
        DataError: members of other parts, options or shapes.
    """
    for i, member in enumerate(members[1:], 2):
        if recipe(member) != recipe(members[0]):
            raise DataError(
                f"Model {i} is not built as model 1 is (other parts, options or sizes), so "
                "their weights have no mean. Take 'mean', which averages answers."
            )
    mean = members[0].freeze()
    states = [member.state_dict() for member in members]
    mean.load_state_dict({name: _mean([s[name] for s in states]) for name in states[0]})
    return mean


def greedy_soup(
    members: Sequence[Predictor], judge: Callable[[Predictor], float]
) -> tuple[Predictor, list[int]]:
    """The greedy soup, and which members are in it: the best, and each that makes it no worse.

    Source: Wortsman et al. 2022, arXiv:2203.05482. `judge` says how bad a predictor is on images
    that none has learned from.
    """
    losses = [judge(member) for member in members]
    order = sorted(range(len(members)), key=losses.__getitem__)
    chosen, best = [order[0]], losses[order[0]]
    for i in order[1:]:
        found = judge(soup([members[j] for j in (*chosen, i)]))
        if found <= best:
            chosen, best = [*chosen, i], found
    return soup([members[j] for j in chosen]), chosen


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([t.double() for t in tensors]).mean(0).to(tensors[0])
