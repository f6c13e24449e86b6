"""Model soups: one predictor with the mean of several predictors' weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.predictor import Predictor
from medshot.core.registry import recipe


def soup(members: Sequence[Predictor]) -> Predictor:
    """Uniform soup, with the inference cost of a single member.

    Source: Wortsman et al. 2022, arXiv:2203.05482. Members must be fine-tuned from the same
    weights, or be snapshots of one run. The mean of networks with different initialization does
    not work, which cannot be detected from the files: evaluate the soup.

    Raises:
        DataError: members of different modules, options or shapes.
    """
    for i, member in enumerate(members[1:], 2):
        if recipe(member) != recipe(members[0]):
            raise DataError(
                f"Model {i} is not built as model 1 is (other modules, options or sizes), so "
                "their weights cannot be averaged. Take 'mean', which averages outputs."
            )
    mean = members[0].freeze()
    states = [member.state_dict() for member in members]
    mean.load_state_dict({name: _mean([s[name] for s in states]) for name in states[0]})
    return mean


def greedy_soup(
    members: Sequence[Predictor], judge: Callable[[Predictor], float]
) -> tuple[Predictor, list[int]]:
    """Greedy soup and its member indices: the best, and each further one that does not hurt.

    Source: Wortsman et al. 2022, arXiv:2203.05482. `judge` is the loss of a predictor on images
    that no member was trained on.
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
