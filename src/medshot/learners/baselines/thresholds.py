"""Intensity threshold with connected components: the classical baseline for separate objects."""

import math

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from medshot.core import Examples, Learner, Predictor, Task, part
from medshot.learners.registry import register
from medshot.tasks import Detection
from medshot.tasks.boxes import MOST, NO_BOX, pairwise_iou
from medshot.tasks.detection import RARE, TYPICAL, detection

LOWEST = -9.0  # logit where there is no component
FACTORS = (0.8, 1.0, 1.2)  # of Otsu's threshold above the least intensity
BLURS = (0, 1)  # standard deviation in pixels
EDGE, STEEP = 3.0, 2.0  # distance of a component from its class, of a score of 0.5; its slope


@part("predictor", "components")
class Components(Predictor):
    """A box around each connected component above a threshold, per image.

    The intensity is feature `channel` times `sign`, blurred by `blur` pixels; the threshold is
    Otsu's times `factor`. A component belongs to the class whose mean log width, log height and
    intensity (`means`, in standard deviations `spreads`) are nearest.
    """

    means: Tensor
    spreads: Tensor

    exportable = False  # connected components are found by SciPy

    def __init__(
        self,
        encoder: nn.Module,
        means: Float[Tensor, "k 3"],
        spreads: Float[Tensor, "k 3"],
        channel: int,
        sign: float,
        factor: float,
        blur: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.transductive = bool(getattr(encoder, "transductive", False))
        self.channel, self.sign, self.factor, self.blur = channel, sign, factor, blur
        self.register_buffer("means", means)
        self.register_buffer("spreads", spreads)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o h w"]:
        """Class logits and two log sizes, at the centers of components."""
        z = self.encoder(x)
        setting = (self.channel, self.sign, self.factor, self.blur)
        return torch.stack([self._one(components(image, *setting), image) for image in z])

    def _one(self, found: Float[ndarray, "d 5"], like: Float[Tensor, "f h w"]) -> Tensor:
        (k, _), (h, w) = self.means.shape, like.shape[1:]
        logits = like.new_full((k, h, w), LOWEST)
        sides = like.new_full((2, h, w), math.log(TYPICAL))
        boxes = torch.from_numpy(found).to(like)
        far = (
            ((component_features(boxes)[:, None] - self.means) / self.spreads)
            .square()
            .mean(2)
            .sqrt()
        )
        far, label = far.min(1)
        for i in far.argsort(descending=True, stable=True).tolist()[-MOST:]:
            column = min(int((boxes[i, 0] + boxes[i, 2]) / 2 * w), w - 1)
            row = min(int((boxes[i, 1] + boxes[i, 3]) / 2 * h), h - 1)
            logits[:, row, column] = LOWEST
            logits[label[i], row, column] = (STEEP * (EDGE - far[i])).clamp(min=LOWEST)
            sides[:, row, column] = (boxes[i, 2:4] - boxes[i, :2]).log()
        return torch.cat([logits + RARE, sides - math.log(TYPICAL)])


def otsu(values: Float[ndarray, "h w"], bins: int = 256) -> float:
    """Threshold that maximizes the variance between the two classes of a histogram (Otsu 1979)."""
    counts, edges = np.histogram(values, bins)
    middle = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below = np.cumsum(counts * middle) / np.maximum(below, 1)
    mean_above = np.cumsum((counts * middle)[::-1])[::-1] / np.maximum(above, 1)
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return float(middle[between.argmax()])


def components(
    z: Float[Tensor, "f h w"], channel: int, sign: float, factor: float, blur: int
) -> Float[ndarray, "d 5"]:
    """Corners and mean intensity of the components above the threshold; feature -1 is the mean."""
    from scipy import ndimage  # noqa: PLC0415  (slow to import)

    plane = sign * (z.mean(0) if channel < 0 else z[channel]).detach().double().cpu().numpy()
    smooth = ndimage.gaussian_filter(plane, blur) if blur else plane
    if smooth.min() == smooth.max():
        return np.zeros((0, 5))
    level = smooth.min() + factor * (otsu(smooth) - smooth.min())
    labels = np.zeros(smooth.shape, np.int32)
    n = int(ndimage.label(smooth > level, output=labels))  # type: ignore[arg-type]
    filled = ndimage.mean(plane, labels, np.arange(1, n + 1)) if n else []
    (h, w), found = plane.shape, []
    for (down, across), bright in zip(ndimage.find_objects(labels), filled, strict=True):
        found.append([across.start / w, down.start / h, across.stop / w, down.stop / h, bright])
    return np.array(found).reshape(-1, 5)


def component_features(found: Float[Tensor, "d c"]) -> Float[Tensor, "d 3"]:
    """Log width, log height and mean intensity of components."""
    return torch.cat([(found[:, 2:4] - found[:, :2]).log(), found[:, 4:5]], 1)


@register("thresholds")
class Thresholds(Learner):
    """Otsu's threshold and connected components, in the feature that fits the support best.

    Source: Otsu 1979, IEEE Trans. SMC 9, 62-66. Feature, sign, blur and a factor of the threshold
    are those whose components match most boxes of the support (intersection over union of 0.5),
    by F1 of all components at least half as wide and high as the smallest box. Meant for the
    encoder `intensities`.
    """

    supports = (Detection,)
    source = "Otsu 1979, doi:10.1109/TSMC.1979.4310076"
    trainable = False
    exact = False
    usual_encoder = "intensities"

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    @torch.no_grad()
    def learn(self, support: Examples, task: Task) -> Predictor:
        """Try every setting on the support; describe the components of each class."""
        k, z = detection(task).n_classes, self.encoder(support.x)
        boxes = [each[each[:, 4] != NO_BOX] for each in support.y.to(z)]
        every = torch.cat(boxes)
        least = (every[:, 2:4] - every[:, :2]).amin(0) / 2
        settings = [
            (channel, sign, factor, blur)
            for channel in range(-1, z.shape[1] if z.shape[1] > 1 else 0)
            for sign in (1.0, -1.0)
            for factor in FACTORS
            for blur in BLURS
        ]
        best, chosen, rows = -1.0, settings[0], [z.new_zeros(0, 6)]
        for setting in settings:
            score, matched = _fit(z, boxes, least, setting)
            if score > best:
                best, chosen, rows = score, setting, matched
        own = torch.cat(rows)
        means, spreads = z.new_zeros(k, 3), z.new_zeros(k, 3)
        for c in range(k):
            seen = component_features(own[own[:, 5] == c])
            if not len(seen):  # no component of this class: its boxes, of any intensity
                sizes = every[every[:, 4] == c]
                seen = component_features(torch.cat([sizes[:, :4], 0 * sizes[:, :1]], 1))
            spreads[c], means[c] = _moments(seen)
        return Components(self.encoder, means, spreads, *chosen)


LEAST_SPREAD = 0.2  # of log sides, and of intensities in standard deviations of the image


def _moments(seen: Float[Tensor, "d 3"]) -> tuple[Tensor, Tensor]:
    return seen.std(0, correction=0).clamp(min=LEAST_SPREAD), seen.mean(0)


def _fit(
    z: Tensor, boxes: list[Tensor], least: Float[Tensor, "2"], setting: tuple
) -> tuple[float, list[Tensor]]:
    """F1 of the components on the support, and those that match a box, with its class."""
    matched, claimed = [], 0
    for image, true in zip(z, boxes, strict=True):
        found = torch.from_numpy(components(image, *setting)).to(z)
        found = found[((found[:, 2:4] - found[:, :2]) >= least).all(1)]
        claimed += len(found)
        if len(found) and len(true):
            share, which = pairwise_iou(true[:, :4], found[:, :4]).max(1)
            hit = share >= 0.5
            matched.append(torch.cat([found[which[hit]], true[hit, 4:]], 1))
    hits = sum(map(len, matched))
    return 2 * hits / (claimed + sum(map(len, boxes))), matched or [z.new_zeros(0, 6)]
