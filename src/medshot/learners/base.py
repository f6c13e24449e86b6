"""Base class of learners that fit a head on features of a frozen or meta-trained encoder."""

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
    """Encode each image once and fit a head on the features; a subclass implements `fit`.

    With an encoder that keeps the spatial grid, each labeled site is one training example, so a
    classifier also does segmentation without extra code. For detection, the examples are object
    centers, the sites around them and background (`at_centers`). Whole-image tasks on such an
    encoder use the mean over sites, so that one learner can be trained on several tasks.
    """

    pools = True

    unit: ClassVar[bool] = False  # whether features are L2-normalized

    @abstractmethod
    def fit(
        self, encoder: nn.Module, z: Float[Tensor, "n f"], y: Shaped[Tensor, "n ..."], task: Task
    ) -> Predictor:
        """Fit a predictor on top of `encoder` from support features `z` and labels `y`."""

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Encode the support and fit the head."""
        encoder = self._encoder_for(task)
        z = features(encoder, support.x, unit=self.unit)
        return self._fit_labeled(encoder, z, support.y, task)

    def meta_loss(self, episode: Episode) -> Float[Tensor, ""]:
        """Query loss, with support and query encoded in one pass.

        One pass is faster, and with norm="batch" both share batch statistics, as in the code of
        Snell et al. 2017. Otherwise the value equals that of adapting and then predicting.
        """
        support, query = episode.support, episode.query
        encoder = self._encoder_for(episode.task)
        z = features(encoder, torch.cat([support.x, query.x]), unit=self.unit)
        shown, queries = z.split([len(support), len(query)])
        predictor = self._fit_labeled(nn.Identity(), shown, support.y, episode.task)
        return episode.task.loss(predictor(queries), query.y)

    def _encoder_for(self, task: Task) -> nn.Module:
        """Return the encoder, pooled over sites if `task` needs one feature vector per image."""
        keeps = getattr(self.encoder, "keeps_grid", False)
        return Pooled(encoder=self.encoder) if keeps and not task.on_grid else self.encoder

    def _fit_labeled(
        self, encoder: nn.Module, z: Float[Tensor, "n f *s"], y: Tensor, task: Task
    ) -> Predictor:
        if task.at_centers:
            return at_centers(self.fit, encoder, z, y, task)
        return self.fit(encoder, *labeled_sites(z, y), task)
