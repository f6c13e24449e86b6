"""Adversarial querying: in meta-training, the query is attacked."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError
from medshot.core.learner import Learner
from medshot.stages.robustness.attacks import PGD
from medshot.stages.robustness.threat_model import ThreatModel
from medshot.training.objective import AuxiliaryLoss


class AdversarialQuerying(AuxiliaryLoss):
    """Puts the query loss on attacked images in the place of `share` of that on images as they are.

    Source: Goldblum, Fowl & Goldstein 2020, arXiv:1910.00982. Learn from the support as it is,
    attack the query of what was learned, descend on the loss there. That is a share of 1, if the
    learner's meta-loss is its query loss; of other learners the share is added to their own.

    Where we differ: the attack begins at the image and not beside it, so that a step is a function
    of its episodes alone, whoever takes it. It costs one more adaptation and `steps` times a
    forward and a backward pass over the query.

    Raises:
        ConfigError: an epsilon, norm or number of steps that cannot be, or a share outside (0, 1].
    """

    source = "Goldblum et al. 2020, arXiv:1910.00982"
    vectorizes = False

    def __init__(
        self, epsilon: float = 8 / 255, *, norm: str = "linf", steps: int = 7, share: float = 1.0
    ) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ConfigError(f"The share of the attacked query is in (0, 1], not {share}.")
        self.attack = PGD(ThreatModel(epsilon, norm), steps=steps, random_start=False)
        self.share = share

    def value(self, learner: Learner, episodes: Sequence[Episode]) -> Float[Tensor, ""]:
        """`share` times what the attack adds to the query loss, the mean over these episodes."""
        return self.share * torch.stack([self._added(learner, e) for e in episodes]).mean()

    def describe(self) -> dict[str, Any]:
        """Its attack and share."""
        return {"term": "adversarial querying", **self.attack.describe(), "share": self.share}

    def _added(self, learner: Learner, episode: Episode) -> Float[Tensor, ""]:
        task, query = episode.task, episode.query
        predictor = learner.learn(episode.support, task)
        attacked = self.attack(predictor, task, query)
        return task.loss(predictor(attacked), query.y) - task.loss(predictor(query.x), query.y)
