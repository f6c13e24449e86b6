"""Blob detection: the classical baseline for round objects of similar size.

A blob is a site brighter or darker than its surroundings, at the scale of the class.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.nn.detectors import Responses
from medshot.nn.encoders.filters import derivatives
from medshot.nn.heads import sites
from medshot.tasks import Detection
from medshot.tasks.boxes import mean_sizes, middles
from medshot.tasks.detection import RARE, TYPICAL, detection, shift


@part("predictor", "blobs")
class Blobs(Responses):
    """Laplacian of Gaussian per class: at `scales[c]` (in sites), on feature `channels[c]`.

    A bright object on dark background gives a negative response; `gain` holds the sign.
    """

    def __init__(
        self,
        encoder: nn.Module,
        scales: Sequence[float],
        channels: Sequence[int],
        gain: Float[Tensor, "k"],
        offset: Float[Tensor, "k"],
        sizes: Float[Tensor, "k 2"],
        rare: float = 0.0,
        typical: float = 1.0,
    ) -> None:
        super().__init__(encoder, gain, offset, sizes, rare, typical)
        self.scales, self.channels = tuple(scales), tuple(channels)

    def respond(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n k h w"]:
        """Response of each class at its scale."""
        pairs = zip(self.scales, self.channels, strict=True)
        return torch.cat([laplacian(z[:, c : c + 1], scale) for scale, c in pairs], 1)


def laplacian(z: Float[Tensor, "n f h w"], scale: float) -> Float[Tensor, "n f h w"]:
    """Scale-normalized Laplacian of Gaussian of every feature."""
    blur, _, bend = derivatives(scale).to(z)
    reach = len(blur) // 2
    wide = F.pad(z.flatten(0, 1)[:, None], (reach,) * 4, mode="replicate")
    bent = [
        F.conv2d(F.conv2d(wide, down[None, None, :, None]), across[None, None, None, :])
        for down, across in ((bend, blur), (blur, bend))
    ]
    return (bent[0] + bent[1])[:, 0].unflatten(0, z.shape[:2])


@register("blob")
class Blob(Learner):
    """Laplacian of Gaussian at the size of each class, in its most discriminative feature.

    Source: Lindeberg 1998, Int. J. Comput. Vis. 30, 79-116: the response to a disk peaks at the
    scale radius / sqrt 2. Scale and box size are the class means over the support. Feature and
    sign are those whose mean response at the centers deviates most from that over all sites, in
    standard deviations. The threshold maximizes F1 on the support. Meant for the encoder
    `intensities`.
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
