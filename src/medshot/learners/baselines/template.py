"""Template matching: the classical baseline for objects of uniform appearance."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.nn.detectors import Responses
from medshot.tasks import Detection
from medshot.tasks.boxes import mean_sizes
from medshot.tasks.detection import RARE, TYPICAL, detection, shift

FLAT = 1e-5  # of the sum of squares: a smaller variance is rounding error


@part("predictor", "templates")
class Templates(Responses):
    """Normalized cross-correlation of the features with one template per class.

    Templates have odd sides and are zero-padded to a common size, centered, in `templates`;
    `shapes` holds their heights and widths.
    """

    templates: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        templates: Float[Tensor, "k f a b"],
        shapes: Sequence[Sequence[int]],
        gain: Float[Tensor, "k"],
        offset: Float[Tensor, "k"],
        sizes: Float[Tensor, "k 2"],
        rare: float = 0.0,
        typical: float = 1.0,
    ) -> None:
        super().__init__(encoder, gain, offset, sizes, rare, typical)
        self.shapes = shapes
        self.register_buffer("templates", templates)

    def respond(self, z: Float[Tensor, "n f h w"]) -> Float[Tensor, "n k h w"]:
        """Correlation with each template, in [-1, 1]."""
        return torch.cat(
            [
                correlation(z, middle(t, *shape))
                for t, shape in zip(self.templates, self.shapes, strict=True)
            ],
            1,
        )


def middle(x: Float[Tensor, "*n h w"], height: int, width: int) -> Float[Tensor, "*n a b"]:
    """Center crop of `height` x `width`."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def correlation(
    z: Float[Tensor, "n f h w"], template: Float[Tensor, "f a b"]
) -> Float[Tensor, "n 1 h w"]:
    """Pearson correlation of the template with the window at each site; 0 on flat windows.

    The image is padded by replicating its border.
    """
    f, a, b = template.shape
    wide = F.pad(z, (b // 2, b // 2, a // 2, a // 2), mode="replicate")
    pattern = template - template.mean()
    both = F.conv2d(wide, pattern[None])
    total, squares = (_window(w.sum(1, keepdim=True), a, b) for w in (wide, wide.square()))
    spread = (squares - total.square() / (f * a * b)).clamp(min=0)
    scale = (spread * pattern.square().sum()).sqrt()
    flat = spread <= FLAT * squares
    return torch.where(flat, 0.0, both / scale.clamp(min=1e-12))


def _window(x: Float[Tensor, "n 1 h w"], a: int, b: int) -> Float[Tensor, "n 1 u v"]:
    """Sum over each a x b window."""
    return F.avg_pool2d(x, (a, b), stride=1) * (a * b)


GAIN = 10.0  # maps correlations in [-1, 1] to the range of logits


@register("template")
class Template(Learner):
    """Normalized cross-correlation with the mean crop of each class.

    Source: Lewis 1995, Vision Interface, 120-123 (fast normalized cross-correlation), summed over
    all features. Crops from the support are resized to the mean size of their class. The
    threshold maximizes F1 on the support. The encoder `intensities` correlates pixels; others
    correlate features.
    """

    supports = (Detection,)
    source = "Lewis 1995, Vision Interface, 120-123"
    trainable = False
    exact = False

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Average the crops of each class and set the thresholds on the support."""
        boxes_task = detection(task)
        z, k = self.encoder(support.x), boxes_task.n_classes
        sizes = mean_sizes(support.y, k).to(z)
        shapes = [_shape(size, z) for size in sizes]
        largest = tuple(max(sides) for sides in zip(*shapes, strict=True))
        means = [_mean_crop(z, support.y, c, shape) for c, shape in enumerate(shapes)]
        templates = torch.stack([_within(mean, largest) for mean in means])
        gain, none = torch.full((k,), GAIN).to(z), torch.zeros(k).to(z)
        found = Templates(self.encoder, templates, shapes, gain, none, sizes, RARE, TYPICAL)
        found.offset = shift(boxes_task, found(support.x), support.y)
        return found


def _shape(log_size: Float[Tensor, "2"], z: Tensor) -> tuple[int, int]:
    """Height and width of a template in sites: odd and at least 3."""
    width, height = log_size.exp().tolist()
    high, wide = (max(3, round(side)) for side in (height * z.shape[2], width * z.shape[3]))
    return high // 2 * 2 + 1, wide // 2 * 2 + 1


def _mean_crop(
    z: Float[Tensor, "n f h w"], boxes: Float[Tensor, "n m 5"], c: int, shape: tuple[int, int]
) -> Float[Tensor, "f a b"]:
    """Mean of the features in the boxes of class `c`, each resized to `shape`."""
    image, place = (boxes[..., 4] == c).nonzero(as_tuple=True)
    low, high = boxes[image, place, :2].to(z), boxes[image, place, 2:4].to(z)
    down, across = ((torch.arange(sides).to(z) + 0.5) / sides for sides in shape)
    ends = torch.stack([low, high - low], -1)  # b, x and y, start and side
    x = ends[:, 0, :1] + across * ends[:, 0, 1:]
    y = ends[:, 1, :1] + down * ends[:, 1, 1:]
    grid = torch.stack(
        [x[:, None].expand(-1, len(down), -1), y[:, :, None].expand(-1, -1, len(across))], -1
    )
    crops = [
        F.grid_sample(z[i : i + 1], 2 * g[None] - 1, align_corners=False)
        for i, g in zip(image, grid, strict=True)
    ]
    return torch.cat(crops).mean(0)


def _within(x: Float[Tensor, "f a b"], shape: tuple[int, ...]) -> Float[Tensor, "f h w"]:
    """Zero-pad `x` to `shape`, centered."""
    down, across = (shape[0] - x.shape[1]) // 2, (shape[1] - x.shape[2]) // 2
    return F.pad(x, (across, across, down, down))
