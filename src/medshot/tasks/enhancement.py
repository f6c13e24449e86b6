"""An image for an image: the same scene without its noise, its blur or its artefacts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import DataError, TaskError
from medshot.core.prediction import ImagePrediction
from medshot.core.predictor import Card, Restoring
from medshot.core.task import Task
from medshot.tasks.quality import METRICS, psnr, ssim
from medshot.tasks.tiles import in_tiles

SOFT = 1e-3  # errors below this, a quarter of an 8-bit step, are squared


class Enhancement(Task):
    """The `n_outputs` channels of an image as they should be, at every site, in [0, 1].

    They are the first channels of the input, made better: what has learnt nothing gives the image
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
