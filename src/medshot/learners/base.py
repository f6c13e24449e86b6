"""Learners on the features of an encoder that stays as it is, and how they learn boxes."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from medshot.core import Episode, Examples, Learner, Predictor, Task, TaskError, called
from medshot.inner.closed_form import ridge_weights
from medshot.nn.detectors import Centers
from medshot.nn.encoders.adapters import Pooled
from medshot.nn.heads import Head, features, labeled_sites, sites
from medshot.tasks import Segmentation
from medshot.tasks.boxes import mean_sizes, paint, site_labels
from medshot.tasks.detection import RARE, TYPICAL, detection, shift

PENALTY = 0.1  # of the size regression, relative to the mean square of the features

Fit = Callable[[nn.Module, Float[Tensor, "n f"], Int[Tensor, "n"], Task], Predictor]


def at_centers(
    fit: Fit,
    encoder: nn.Module,
    z: Float[Tensor, "n f h w"],
    boxes: Float[Tensor, "n m 5"],
    task: Task,
) -> Centers:
    """Build a detector around the head that `fit` learns on centers, their rims and background.

    The score threshold of each class maximizes F1 on the support. The log size of a box is the
    class mean plus a ridge regression of the residual on the features near the center.

    Raises:
        TaskError: `fit` returned a predictor that is not a head on features.
    """
    boxes_task = detection(task)
    k, grid = boxes_task.n_classes, (z.shape[2], z.shape[3])
    where, label = site_labels(boxes, k, grid)
    kinds, number = label.unique(return_inverse=True)  # small boxes have no rim
    rows = sites(z)
    head = fit(encoder, rows[where], number, Segmentation(len(kinds)))
    if not isinstance(head, Head):
        raise TaskError(f"{called(head)} is not a head on features; detection needs one.")
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
    """Ridge regression; returns the weights and the unpenalized intercept."""
    middle, mean = z.mean(0), targets.mean(0)
    centred = z - middle
    penalty = PENALTY * centred.square().sum() / z.shape[1] + torch.finfo(z.dtype).eps
    weight = ridge_weights(centred, targets - mean, penalty)
    return weight, mean - middle @ weight


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
