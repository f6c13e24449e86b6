"""What learners have in common that learn from features which stay as they are."""

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.detection_head import at_centers
from medshot.nn.encoders.adapters import Pooled
from medshot.nn.heads import features, labeled_sites


class OnFeatures(Learner):
    """Encodes each image once, and learns from the features alone: a subclass writes `fit`.

    With an encoder that keeps the grid, a labelled site is what an image is elsewhere: learners
    that do segmentation do it without a line of their own. For boxes, the labelled sites are
    centres and what is none (`at_centers`). On such an encoder, whole images are the mean over
    their sites, so that tasks of several kinds can teach one learner.
    """

    pools = True

    unit: ClassVar[bool] = False  # features divided by their L2 norm

    @abstractmethod
    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Shaped[Tensor, "n ..."], task: Task
    ) -> Predictor:
        """The predictor, around `encoder`, that the support's features and labels teach."""

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Encode, then fit."""
        encoder = self._seeing(task)
        z = features(encoder, support.x, unit=self.unit)
        return self._taught(encoder, z, support.y, task)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """The query loss, support and query encoded in one pass.

        It is faster, and with norm="batch" the two share their statistics, as in the code of Snell
        et al. 2017; the value is otherwise that of adapting and then predicting.
        """
        support, query = episode.support, episode.query
        encoder = self._seeing(episode.task)
        z = features(encoder, torch.cat([support.x, query.x]), unit=self.unit)
        shown, asked = z.split([len(support), len(query)])
        predictor = self._taught(nn.Identity(), shown, support.y, episode.task)
        return episode.task.loss(predictor(asked), query.y)

    def _seeing(self, task: Task) -> nn.Module:
        """The encoder, in the form in which `task` needs it."""
        keeps = getattr(self.encoder, "keeps_grid", False)
        return Pooled(encoder=self.encoder) if keeps and not task.on_grid else self.encoder

    def _taught(
        self, encoder: nn.Module, z: Float[Tensor, "n f *s"], y: Tensor, task: Task
    ) -> Predictor:
        if task.at_centers:
            return at_centers(self.fit, encoder, z, y, task)
        return self.fit(encoder, *labeled_sites(z, y), task)
