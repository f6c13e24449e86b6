"""Regression of k numbers an image; metrics are computed for each number, then averaged."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import Card, DataError, Metric, NumberPrediction, Task
from medshot.tasks.classification import one_an_image, ranks

MEAN_ERROR = "mean absolute error (own unit)"


def r2(said: Float[ndarray, "n k"], true: Float[ndarray, "n k"]) -> float:
    """Coefficient of determination: 1 is perfect, 0 is the mean of these targets.

    Negative for predictions that are worse than that mean; NaN where all targets are equal.
    """
    around = np.square(true - true.mean(0)).sum(0)
    left = np.square(true - said).sum(0)
    shares = np.divide(left, around, out=np.full_like(around, np.nan), where=around > 0)
    return float(1 - shares.mean())


def spearman(said: Float[ndarray, "n k"], true: Float[ndarray, "n k"]) -> float:
    """Spearman rank correlation.

    0 where all predictions are equal; NaN where all targets are.
    """
    a, b = (order - order.mean(0) for order in (ranks(said), ranks(true)))
    length = np.sqrt(np.square(a).sum(0) * np.square(b).sum(0))
    found = np.divide((a * b).sum(0), length, out=np.zeros_like(length), where=length > 0)
    return float(np.where(np.ptp(true, axis=0) > 0, found, np.nan).mean())


def mean_absolute_error(said: Float[ndarray, "n k"], true: Float[ndarray, "n k"]) -> float:
    """Mean absolute error in the unit of the targets. Lower is better."""
    return float(np.abs(said - true).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {"R2": r2, "Spearman correlation": spearman, MEAN_ERROR: mean_absolute_error}
)


@dataclass(frozen=True)
class Regression(Task):
    """Regression of `n_outputs` numbers an image; targets are in the user's unit.

    Learners get them standardized: minus `centre`, divided by `scale`, one of each for each number.
    Both are estimated from the support by `fitted` and saved with the predictor; `decode` returns
    to the unit. Defaults are 0 and 1.
    """

    kind = "regression"
    link = "identity"
    logits = False
    metrics = METRICS
    lowest = MappingProxyType({"R2": -math.inf, "Spearman correlation": -1.0})

    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def fitted(self, target: Float[Tensor, "n k"]) -> "Regression":
        """The task with the mean and standard deviation of these targets; 1 where that is 0."""
        deviation = target.double().std(0, correction=0)
        scale = torch.where(deviation > 0, deviation, 1.0)
        return replace(
            self, centre=tuple(target.double().mean(0).tolist()), scale=tuple(scale.tolist())
        )

    def check(self, target: Shaped[Tensor, "..."]) -> None:
        """Check that targets are finite, and that each number varies between images."""
        if target.ndim != 2 or target.shape[1] != self.n_outputs or not target.is_floating_point():
            raise DataError(
                f"A target is {self.n_outputs} number(s) an image (floating point, of shape n "
                f"{self.n_outputs}), not {target.dtype} of shape {tuple(target.shape)}."
            )
        if not target.isfinite().all():
            raise DataError("A target is not finite (NaN or infinity): leave that image out.")
        if len(target) < 2 or bool((target == target[:1]).all(0).any()):
            raise DataError(
                "The target is the same for all images of the support, so there is nothing to "
                "learn. Add images with other values."
            )

    def loss(self, output: Float[Tensor, "n k"], target: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Mean squared error of standardized numbers."""
        return F.mse_loss(output, self.encode(target, like=output))

    def divergence(
        self, output: Float[Tensor, "n k"], other: Float[Tensor, "n k"], temperature: float = 1.0
    ) -> Float[Tensor, ""]:
        """Mean squared difference: real-valued outputs have no temperature."""
        del temperature
        return F.mse_loss(output, other)

    def encode(self, target: Float[Tensor, "n k"], like: Tensor) -> Float[Tensor, "n k"]:
        """Standardized by the support's mean and standard deviation."""
        centre, scale = self._unit(target)
        return ((target - centre) / scale).to(like)

    def decode(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Numbers in the unit of the targets."""
        centre, scale = self._unit(output)
        return output * scale + centre

    def to_prediction(self, output: Float[Tensor, "k"], path: Path, card: Card) -> NumberPrediction:
        """The predicted number or numbers, by name."""
        values = self.decode(output[None].cpu().double())[0].tolist()
        return NumberPrediction(str(path), dict(zip(card.labels, values, strict=True)))

    def present_classes(self, target: Shaped[Tensor, "n ..."]) -> Bool[Tensor, "n 1"]:
        """There are no classes: any image will do."""
        return torch.ones(len(target), 1, dtype=torch.bool)

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """A finite number an image; its default name is \"value\"."""
        flat = one_an_image(y, cls.kind)
        if flat.dtype.kind not in "fiu" or not np.isfinite(flat.astype(float)).all():
            raise DataError(f"{cls.kind.capitalize()} needs a finite number an image.")
        return torch.from_numpy(flat.astype(np.float32))[:, None], labels or ["value"]

    def counts(self, target: Shaped[Tensor, "n ..."]) -> list[int]:
        """Number of images with each of the numbers: all of them."""
        return [len(target)] * self.n_outputs

    def chance(self, metric: str) -> float | None:
        """0 for R2 and rank correlation: a constant prediction."""
        return None if metric.endswith(")") else 0.0

    def _unit(self, like: Tensor) -> tuple[Tensor, Tensor]:
        centre, scale = self.centre or (0.0,), self.scale or (1.0,)
        return like.new_tensor(centre), like.new_tensor(scale)
