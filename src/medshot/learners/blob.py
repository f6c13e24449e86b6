"""Blob detection: the classical baseline for round things of one size."""

import math

import torch
from torch import nn

from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import register
from medshot.nn.blobs import Blobs, laplacian
from medshot.nn.features import sites
from medshot.tasks import Detection
from medshot.tasks.box_sites import mean_sizes, middles
from medshot.tasks.detection import RARE, TYPICAL, detection
from medshot.tasks.sure import shift


@register("blob")
class Blob(Learner):
    """The Laplacian of a Gaussian of the size of a class, in the feature where it tells most.

    Source: Lindeberg 1998, Int. J. Comput. Vis. 30, 79-116: the Laplacian of a disk is strongest at
    the scale radius / sqrt 2. Scale and size are the mean of the class in the support; feature and
    sign are those in which its centres differ most, in deviations of all sites; the threshold is
    that of the best F1 on the support. Meant for the encoder `intensities`.
    """

    supports = (Detection,)
    source = "Lindeberg 1998, doi:10.1023/A:1008045108935"
    trainable = False
    exact = False

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Choose a feature, a sign and a threshold for each class."""
        boxes_task = detection(task)
        z = self.encoder(support.x)
        grid = (z.shape[2], z.shape[3])
        where, label = middles(support.y, grid)
        sizes = mean_sizes(support.y, boxes_task.n_classes).to(z)
        radii = (sizes.mean(1).exp() * math.sqrt(grid[0] * grid[1]) / 2).tolist()
        scales = [radius / math.sqrt(2) for radius in radii]
        channels, gains = [], []
        for c, scale in enumerate(scales):
            response = sites(laplacian(z, scale))
            middle = response[where[label == c]].mean(0) - response.mean(0)
            spread = response.std(0, correction=0).clamp(min=1e-6)
            best = int((middle / spread).abs().argmax())
            channels.append(best)
            gains.append(middle[best].sign() / spread[best])
        gain = torch.stack(gains)
        none = torch.zeros_like(gain)
        found = Blobs(self.encoder, scales, channels, gain, none, sizes, RARE, TYPICAL)
        found.offset = shift(boxes_task, found(support.x), support.y)
        return found
