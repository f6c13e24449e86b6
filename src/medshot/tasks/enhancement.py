"""Image enhancement (denoising, deblurring, artifact removal): tiled prediction, PSNR, SSIM."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.core import Card, DataError, Form, ImagePrediction, Metric, Restoring, Task, TaskError

MOST = 100.0  # dB: upper bound, an RMSE of 1/400 of an 8-bit step
SIGMA, REACH = 1.5, 5  # pixels: standard deviation and radius of SSIM's Gaussian window (the paper)
K1, K2 = 0.01, 0.03


def psnr(image: Float[ndarray, "k h w"], wanted: Float[ndarray, "k h w"]) -> float:
    """Peak signal-to-noise ratio in dB with a peak of 1, over all channels; at most `MOST`."""
    error = float(np.mean((image - wanted) ** 2))
    return MOST if error <= 10 ** (-MOST / 10) else -10 * float(np.log10(error))


def ssim(image: Float[ndarray, "k h w"], wanted: Float[ndarray, "k h w"]) -> float:
    """Structural similarity index, the mean over pixels and channels; 1 for identical images.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, doi:10.1109/TIP.2003.819861, with its constants
    and its Gaussian window. Pixels whose window leaves the image are left out, except for images
    smaller than the window.
    """
    return float(np.mean([_similarity(a, b) for a, b in zip(image, wanted, strict=True)]))


def _similarity(a: Float[ndarray, "h w"], b: Float[ndarray, "h w"]) -> float:
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    both = _blur(a * b) - mean_a * mean_b
    same = (2 * mean_a * mean_b + K1**2) * (2 * both + K2**2)
    found = same / ((mean_a**2 + mean_b**2 + K1**2) * (var_a + var_b + K2**2))
    inner = found[REACH:-REACH, REACH:-REACH]
    return float((inner if inner.size else found).mean())


def _blur(values: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415  (slow to import)

    return gaussian_filter(values, SIGMA, radius=REACH)


def _mean_psnr(by_image: Float[ndarray, "n"], _: Float[ndarray, "n"]) -> float:
    return float(by_image.mean())


def _mean_ssim(_: Float[ndarray, "n"], by_image: Float[ndarray, "n"]) -> float:
    return float(by_image.mean())


METRICS: Mapping[str, Metric] = {"PSNR (dB)": _mean_psnr, "SSIM": _mean_ssim}


TILE, MARGIN = 512, 32  # pixels; the margin is the overlap with neighboring tiles


def in_tiles(
    ask: Callable[[Tensor], Tensor], x: Float[Tensor, "c h w"], tile: int = TILE
) -> Float[Tensor, "k h w"]:
    """Apply `ask`, a function of images `1 c h w`, to a large image by overlapping tiles.

    The result equals that for the whole image if the receptive field reaches at most `MARGIN`
    pixels to each side.
    """
    height, width = x.shape[1:]
    if height <= tile + MARGIN and width <= tile + MARGIN:
        return ask(x[None])[0]
    rows = [
        torch.cat([_tile(ask, x, down, across) for across in _spans(width, tile)], 2)
        for down in _spans(height, tile)
    ]
    return torch.cat(rows, 1)


def _spans(length: int, tile: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, tile):
        yield start, min(start + tile, length)


def _tile(
    ask: Callable[[Tensor], Tensor],
    x: Float[Tensor, "c h w"],
    down: tuple[int, int],
    across: tuple[int, int],
) -> Float[Tensor, "k t u"]:
    """Output for one tile: computed with a margin, then cropped."""
    (top, bottom), (left, right) = down, across
    above, before = min(MARGIN, top), min(MARGIN, left)
    seen = x[:, top - above : bottom + MARGIN, left - before : right + MARGIN]
    found = ask(seen[None])[0]
    return found[:, above : above + bottom - top, before : before + right - left]


SOFT = 1e-3  # errors below this, a quarter of an 8-bit step, are squared


class Enhancement(Task):
    """Image enhancement: predict the `n_outputs` channels of a clean image, in [0, 1].

    They correspond to the first channels of the input: an untrained head returns the input.
    """

    kind = "enhancement"
    link = "identity"
    on_grid = True
    from_image = True
    metrics = METRICS
    caution = (
        "The predictor changes every image, also one without a defect. Structures that it adds "
        "can look right and not be real, and what it smooths away may have been real: keep the "
        "original too."
    )

    def sized(self, n_labels: int, target: Tensor) -> "Enhancement":
        """The task with an output for each channel of the targets."""
        del n_labels
        return replace(self, n_outputs=target.shape[1])

    def unpack(self, target: UInt8[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
        """Images in [0, 1] from 8 bits."""
        return target.float() / 255

    def resize(self, target: UInt8[Tensor, "n k h w"], form: Form) -> UInt8[Tensor, "n d s s"]:
        """Targets are resized as the images are."""
        return form.refit(target)

    def check(self, target: Shaped[Tensor, "n ..."]) -> None:
        """Check that targets are images in [0, 1] with a channel for each output."""
        if target.ndim < 3 or not target.is_floating_point() or target.shape[1] != self.n_outputs:
            raise DataError(
                f"A target is an image in [0, 1] (floating point, n {self.n_outputs} h w), not "
                f"{target.dtype} of shape {tuple(target.shape)}."
            )
        if not len(target):
            raise DataError("There is no image in the support. Add a pair.")
        if not (target.isfinite().all() and target.min() >= 0 and target.max() <= 1):
            raise DataError("A target holds values outside [0, 1], or NaN. Scale it first.")

    def loss(
        self, output: Float[Tensor, "n k *s"], target: Float[Tensor, "n k *s"]
    ) -> Float[Tensor, ""]:
        """Charbonnier loss: the mean of sqrt(d^2 + 0.001^2), where d is the error of a pixel.

        Source: Charbonnier et al. 1994, doi:10.1109/ICIP.1994.413553: a smooth absolute error,
        twice differentiable everywhere.
        """
        return ((output - target).square() + SOFT**2).sqrt().mean()

    def divergence(self, output: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
        """Mean squared difference: real-valued outputs have no temperature."""
        del temperature
        return F.mse_loss(output, other)

    def present_classes(self, target: Shaped[Tensor, "n ..."]) -> Bool[Tensor, "n 1"]:
        """There are no classes: any image will do."""
        return torch.ones(len(target), 1, dtype=torch.bool)

    def decode(self, output: Float[Tensor, "n k *s"]) -> Float[Tensor, "n k *s"]:
        """Images clipped to [0, 1]."""
        return output.clamp(0, 1)

    def first_head(self, n_features: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Identity on the first features, which are the input image."""
        return torch.eye(n_features, self.n_outputs).to(like), torch.zeros(self.n_outputs).to(like)

    def predict_one(self, predictor: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Run `predictor` on one image of any size, tile by tile if it is large."""
        return in_tiles(predictor, x)

    def to_prediction(
        self, output: Float[Tensor, "k h w"], path: Path, card: Card
    ) -> ImagePrediction:
        """Enhanced image with the channels, dtype and range of its file."""
        if not isinstance(card.preprocessing, Restoring):
            raise TaskError(
                f"{type(card.preprocessing).__name__} cannot turn the output of a predictor for "
                "enhancement into pixels. Adapt to a loaded folder of pairs."
            )
        pixels = card.preprocessing.restore(self.decode(output), path)
        return ImagePrediction(str(path), pixels)

    def metric_inputs(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """PSNR and SSIM of each image."""
        pairs = list(zip(decoded, target.astype(np.float64), strict=True))
        return np.array([psnr(a, b) for a, b in pairs]), np.array([ssim(a, b) for a, b in pairs])
