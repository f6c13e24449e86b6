"""Several findings an image, or none: each of k is there or not."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.prediction import FindingsPrediction
from medshot.core.predictor import Card
from medshot.core.task import Task
from medshot.tasks.odds import divergence_of_odds
from medshot.tasks.presence import LIKELY, METRICS


class MultiLabel(Task):
    """Which of `n_outputs` labels are true of an image; targets are rows of 0 and 1."""

    kind = "multi-label"
    link = "sigmoid"
    metrics = METRICS

    def check(self, target: Shaped[Tensor, "..."]) -> None:
        """Every label needs an image with it, and one without."""
        if target.ndim != 2 or target.shape[1] != self.n_outputs or target.dtype != torch.int64:
            raise DataError(
                f"A target is a row of {self.n_outputs} zeros and ones an image (int64 of shape n "
                f"{self.n_outputs}), not {target.dtype} of shape {tuple(target.shape)}."
            )
        if bool(((target != 0) & (target != 1)).any()):
            raise DataError("A target holds other numbers than 0 (not there) and 1 (there).")
        for value, where in ((1, "no"), (0, "every")):
            if wrong := (target != value).all(0).nonzero().flatten().tolist():
                raise DataError(
                    f"Label number(s) {wrong} are on {where} image in the support, so there is "
                    "nothing to tell apart. Add images, or leave these labels out."
                )

    def loss(self, output: Float[Tensor, "n k"], target: Int[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Binary cross-entropy, the mean over images and labels."""
        return F.binary_cross_entropy_with_logits(output, target.to(output))

    def divergence(
        self, output: Float[Tensor, "n k"], other: Float[Tensor, "n k"], temperature: float = 1.0
    ) -> Float[Tensor, ""]:
        """That of every question by itself, the mean over questions and images."""
        return divergence_of_odds(output, other, temperature)

    def encode(self, target: Int[Tensor, "n k"], like: Tensor) -> Float[Tensor, "n k"]:
        """A half where a label is there, minus a half where it is not: the sign decides."""
        return target.to(like) - 0.5

    def told(
        self, decoded: Float[ndarray, "n k"], target: Int[ndarray, "n k"]
    ) -> tuple[Bool[ndarray, "n k"], Bool[ndarray, "n k"]]:
        """The findings that are there, and those that are more likely there than not."""
        return target == 1, decoded > LIKELY

    def decode(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The probability of each label."""
        return output.sigmoid()

    def answer(self, output: Float[Tensor, "k"], path: Path, card: Card) -> FindingsPrediction:
        """The labels that are more likely there than not, and the probability of each."""
        values = dict(zip(card.labels, self.decode(output[None])[0].tolist(), strict=True))
        there = tuple(label for label, p in values.items() if p > LIKELY)
        return FindingsPrediction(str(path), there, values)

    def shows(self, target: Int[Tensor, "n k"]) -> Bool[Tensor, "n two_k"]:
        """Which labels are on an image, then which are not: a support needs both of each."""
        return torch.cat([target == 1, target == 0], 1)

    def chance(self, metric: str) -> float | None:
        """Of two images, the one with the label comes first half of the time."""
        return 0.5 if "AUROC" in metric else None
