"""Image enhancement (denoising, deblurring, artifact removal), by tiles, with PSNR and SSIM."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped, UInt8
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import DataError, TaskError
from medshot.core.prediction import ImagePrediction
from medshot.core.task import Card, Form, Metric, Restoring, Task

MOST = 100.0  # dB: what is the same to within 1/400 of an 8-bit step counts as the same
SIGMA, REACH = 1.5, 5  # pixels: the window of SSIM, and how far it reaches
K1, K2 = 0.01, 0.03


def psnr(image: Float[ndarray, "k h w"], wanted: Float[ndarray, "k h w"]) -> float:
    """Peak signal-to-noise ratio in dB, the peak being 1, over all channels; at most `MOST`."""
    error = float(np.mean((image - wanted) ** 2))
    return MOST if error <= 10 ** (-MOST / 10) else -10 * float(np.log10(error))


def ssim(image: Float[ndarray, "k h w"], wanted: Float[ndarray, "k h w"]) -> float:
    """Structural similarity, the mean over sites and channels; 1 for the same image.

    Source: Wang, Bovik, Sheikh & Simoncelli 2004, doi:10.1109/TIP.2003.819861, with its constants
    and its Gaussian window. Sites whose window leaves the image are left out, except on images
    that are smaller than the window.
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


TILE, MARGIN = 512, 32  # pixels; the margin is what a tile sees of its neighbours


def in_tiles(
    ask: Callable[[Tensor], Tensor], x: Float[Tensor, "c h w"], tile: int = TILE
) -> Float[Tensor, "k h w"]:
    """What `ask` gives for images `1 c h w`, put together from tiles that overlap.

    It is the answer for the whole image wherever no more than `MARGIN` pixels on each side count.
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
    """The answer for one tile: asked with a margin, which is cut off again."""
    (top, bottom), (left, right) = down, across
    above, before = min(MARGIN, top), min(MARGIN, left)
    seen = x[:, top - above : bottom + MARGIN, left - before : right + MARGIN]
    found = ask(seen[None])[0]
    return found[:, above : above + bottom - top, before : before + right - left]


SOFT = 1e-3  # errors below this, a quarter of an 8-bit step, are squared


class Enhancement(Task):
    """The `n_outputs` channels of an image as they should be, at every site, in [0, 1].

    They are the first channels of the input, made better: what has learned nothing gives the image
    back as it is.
    """

    kind = "enhancement"
    link = "identity"
    on_grid = True
    from_image = True
    metrics = METRICS
    caution = (
        "The predictor changes every image, also one that nothing is wrong with. What it adds can "
        "look right and not be there, and what it smooths away may have been real: keep the "
        "original beside it."
    )

    def sized(self, n_labels: int, target: Tensor) -> "Enhancement":
        """As many outputs as the targets have channels."""
        del n_labels
        return replace(self, n_outputs=target.shape[1])

    def unpack(self, target: UInt8[Tensor, "n k h w"]) -> Float[Tensor, "n k h w"]:
        """Images are kept in 8 bits."""
        return target.float() / 255

    def resize(self, target: UInt8[Tensor, "n k h w"], form: Form) -> UInt8[Tensor, "n d s s"]:
        """A target is an image like those that it is learned from."""
        return form.refit(target)

    def check(self, target: Shaped[Tensor, "n ..."]) -> None:
        """Targets are images in [0, 1] of as many channels as there are outputs."""
        if target.ndim < 3 or not target.is_floating_point() or target.shape[1] != self.n_outputs:
            raise DataError(
                f"A target is an image in [0, 1] (floating point, n {self.n_outputs} h w), not "
                f"{target.dtype} of shape {tuple(target.shape)}."
            )
        if not len(target):
            raise DataError("There is no image in the support. Add a pair.")
        if not (target.isfinite().all() and target.min() >= 0 and target.max() <= 1):
            raise DataError("A target holds values outside of [0, 1], or NaN. Scale it first.")

    def loss(
        self, output: Float[Tensor, "n k *s"], target: Float[Tensor, "n k *s"]
    ) -> Float[Tensor, ""]:
        """The mean of sqrt(d^2 + 0.001^2), d being the error of a site.

        Source: Charbonnier et al. 1994, doi:10.1109/ICIP.1994.413553: nearly the absolute error,
        and smooth where that has a kink, so that it can be differentiated twice.
        """
        return ((output - target).square() + SOFT**2).sqrt().mean()

    def divergence(self, output: Tensor, other: Tensor, temperature: float = 1.0) -> Tensor:
        """The mean squared difference: numbers are not softened."""
        del temperature
        return F.mse_loss(output, other)

    def shows(self, target: Shaped[Tensor, "n ..."]) -> Bool[Tensor, "n 1"]:
        """All images are of one kind: a support lacks nothing."""
        return torch.ones(len(target), 1, dtype=torch.bool)

    def decode(self, output: Float[Tensor, "n k *s"]) -> Float[Tensor, "n k *s"]:
        """Images in [0, 1]: what lies outside is cut off."""
        return output.clamp(0, 1)

    def first_head(self, n_features: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Gives back the first features, which are the image."""
        return torch.eye(n_features, self.n_outputs).to(like), torch.zeros(self.n_outputs).to(like)

    def ask(self, predictor: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """What `predictor` says of one image of any size, tile by tile if it is large."""
        return in_tiles(predictor, x)

    def answer(self, output: Float[Tensor, "k h w"], path: Path, card: Card) -> ImagePrediction:
        """The image with the channels, the type and the range of its file."""
        if not isinstance(card.preprocessing, Restoring):
            raise TaskError(
                f"{type(card.preprocessing).__name__} cannot make pixels of what a predictor for "
                "enhancement gives. Adapt to a loaded folder of pairs."
            )
        pixels = card.preprocessing.restore(self.decode(output), path)
        return ImagePrediction(str(path), pixels)

    def evidence(self, decoded: ndarray, target: ndarray) -> tuple[ndarray, ...]:
        """PSNR and SSIM, a number an image."""
        pairs = list(zip(decoded, target.astype(np.float64), strict=True))
        return np.array([psnr(a, b) for a, b in pairs]), np.array([ssim(a, b) for a, b in pairs])
