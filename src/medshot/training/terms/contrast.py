"""Contrast of tasks: parts of one task should teach alike, two tasks should not."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.core.predictor import any_tensor
from medshot.training.terms.term import Term


class TaskContrast(Term):
    """`weight` times the distance within tasks minus the distance between tasks.

    Source: Wu et al. 2024, arXiv:2410.05975 (ConML). The paper's symbols: lambda is `weight`, D_in
    the distance between what is learnt from the support and from the whole episode, D_out that
    between what is learnt from two whole episodes. One subset a task (K = 1) and the cosine
    distance, as in the paper's experiments.

    Where we differ: the paper represents what was learnt by weights, by prototypes or by answers
    to probes, as the learner has them; every predictor of ours answers, so here it is always the
    last: the answers to the queries of both tasks. Which of those images are answered alike is
    what counts (the centred Gram matrix of the probabilities), because classes of different tasks
    have no names in common, and not always the same number. Tasks come in pairs, so D_out has one
    pair a task where the paper takes all of a batch.

    Raises:
        ConfigError: `weight` is not above 0.
    """

    tasks = 2
    source = "Wu et al. 2024, arXiv:2410.05975"

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__()
        if not 0 < weight < math.inf:
            raise ConfigError(f"The weight of the contrast is above 0 and finite, not {weight}.")
        self.weight = weight

    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """`weight` (D_in - D_out) for a pair of episodes."""
        probes = torch.cat([episode.query.x for episode in episodes])
        wholes, within = [], []
        for episode in episodes:
            part = _alike(learner, episode, probes, whole=False)
            wholes.append(_alike(learner, episode, probes, whole=True))
            within.append(_distance(part, wholes[-1]))
        return self.weight * (torch.stack(within).mean() - _distance(*wholes))

    def describe(self) -> dict[str, Any]:
        """Its name and weight."""
        return {"term": "task contrast", "weight": self.weight}


def _alike(
    learner: Learner, episode: Episode, probes: Tensor, *, whole: bool
) -> Float[Tensor, "n n"]:
    """How alike two probes are answered by what is learnt from the support, or from all."""
    shown = episode.support + episode.query if whole else episode.support
    output = learner.learn(shown, episode.task)(probes)
    with torch.autocast(output.device.type, enabled=False):  # distances are small
        answers = episode.task.decode(output.to(any_tensor(learner).dtype))
        answers = (answers - answers.mean(0)).flatten(1)
        return answers @ answers.T


def _distance(a: Float[Tensor, "n n"], b: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """1 minus the cosine."""
    return 1 - torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0)
