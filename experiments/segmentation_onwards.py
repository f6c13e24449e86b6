"""A meta-trained learner whose predictor goes on learning from the support, all steps made."""

from collections.abc import Mapping
from typing import Any

import medshot
from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task


class Onwards(Learner):
    """`learner`, then `medshot.finetune` with `settings`; no part of the support is left out."""

    def __init__(self, learner: Learner, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.learner, self.encoder, self.settings = learner, learner.encoder, settings
        self.supports, self.origin = learner.supports, learner.origin

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Adapt, and then descend."""
        return medshot.finetune(
            self.learner.learn(support, task), support, task=task, **self.settings
        )
