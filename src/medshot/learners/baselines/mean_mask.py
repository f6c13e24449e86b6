"""Mean mask: the average of the support's masks, whatever the image shows."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.nn.volume_maps import filled_box, volumes_of
from medshot.tasks import Segmentation
from medshot.tasks.segmentation import by_image, overlap_counts

CELLS = 64  # a side at most, of the grid on which masks are averaged
SMALLEST = 1e-3  # share of a class that was nowhere marked at a place
IMAGES = 4  # dimensions of a batch of images n c h w
LEVELS = (0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.03)  # shares
MODES = {4: "bilinear", 5: "trilinear"}


@part("predictor", "mean-mask")
class SameMask(Predictor):
    """The same scores for every image, stretched to its grid; of a volume, to what is not black."""

    scores: Tensor
    whole = True

    def __init__(self, scores: Float[Tensor, "k *s"]) -> None:
        super().__init__()
        self.register_buffer("scores", scores)

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n k *s"]:
        """Log of the share of each class at each place."""
        if x.ndim > IMAGES:
            return torch.stack([self._in_box(volume) for volume in volumes_of(x)])
        stretched = F.interpolate(self.scores[None], x.shape[2:], mode=MODES[x.ndim])
        return stretched.expand(x.shape[0], *stretched.shape[1:]) + 0 * x[:, :1]

    def _in_box(self, volume: Float[Tensor, "z h w"]) -> Float[Tensor, "k z h w"]:
        box, found = filled_box(volume), volume.new_zeros(len(self.scores), *volume.shape)
        shape = volume[box].shape
        found[0] = -math.log(SMALLEST)
        found[(slice(None), *box)] = F.interpolate(self.scores[None], shape, mode="trilinear")[0]
        return found


@register("mean-mask")
class MeanMask(Learner):
    """Average of the support's masks, stretched to one grid and smoothed over 3 cells.

    A place is marked where the share of its marks is above a level: the one of `LEVELS` with the
    highest Dice on masks left out of the average (.5 from one image).

    A control: it does not look at the image, so that what it scores is what place and size alone
    tell. Volumes are stretched by their labeled part.

    Source: the probabilistic atlas without registration, see Iglesias & Sabuncu 2015,
    doi:10.1016/j.media.2015.06.012.
    """

    supports = (Segmentation,)
    source = "Iglesias & Sabuncu 2015, doi:10.1016/j.media.2015.06.012"
    trainable = False
    exact = False
    adapts_encoder = True  # nothing of the image is read: there are no features to keep

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Average the masks."""
        y, k = support.y, task.n_outputs
        pool = F.avg_pool3d if y.ndim == 4 else F.avg_pool2d
        grid = [min(CELLS, side) for side in y.shape[1:]]
        found = []
        for mask in y:
            labeled = (mask >= 0).nonzero()
            low, high = labeled.amin(0), labeled.amax(0) + 1
            box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
            marks = torch.stack([(mask[box] == c).to(support.x) for c in range(k)])[None]
            found.append(F.interpolate(marks, grid, mode=MODES[marks.ndim])[0])
        total = torch.stack(found).sum(0)

        def scores(total: Tensor) -> Float[Tensor, "k *s"]:
            smooth = pool(total[None], 3, stride=1, padding=1, count_include_pad=False)[0]
            return (smooth / smooth.sum(0, keepdim=True).clamp(min=SMALLEST) + SMALLEST).log()

        dice = np.zeros(len(LEVELS))
        for marks in found if len(found) > 1 else ():
            held, truth = scores(total - marks), _flat(marks.argmax(0))
            for i, level in enumerate(LEVELS):
                counts = overlap_counts(_flat(_shifted(held, level).argmax(0)), truth, k)
                dice[i] += by_image(*counts)[0]
        return SameMask(_shifted(scores(total), LEVELS[int(dice.argmax())]))


def _shifted(scores: Float[Tensor, "k *s"], level: float) -> Float[Tensor, "k *s"]:
    """Scores whose background is exceeded by what has a share above `level`."""
    return torch.cat([scores[:1] + math.log(level / (1 - level)), scores[1:]])


def _flat(mask: Int[Tensor, "*s"]) -> Int[ndarray, "1 n"]:
    return mask.flatten()[None].cpu().numpy()
