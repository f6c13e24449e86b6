"""Multi-label classification: each of k findings is present or not; macro-averaged metrics."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import Card, DataError, FindingsPrediction, Metric, Task, positions
from medshot.tasks.classification import auroc_influences, aurocs, ranks

LIKELY = 0.5  # a label with a higher probability is predicted as present


def average_precisions(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> Float[ndarray, "k"]:
    """Average precision of each label; NaN for a label on no image.

    The mean, over the images with the label, of the precision at their rank; ties have the rank of
    the last of them.
    """
    return np.array([_average_precision(p[:, c], y[:, c]) for c in range(y.shape[1])])


def f1_scores(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> Float[ndarray, "k"]:
    """F1 of each label; NaN where it is neither predicted nor true."""
    claimed = p > LIKELY
    both, either = (claimed & (y == 1)).sum(0), claimed.sum(0) + y.sum(0)
    return np.divide(2 * both, either, out=np.full(len(either), np.nan), where=either > 0)


def macro_auroc(
    p: Float[ndarray, "n k"], y: Int[ndarray, "n k"], fold: Int[ndarray, "n"] | None = None
) -> float:
    """Mean AUROC over labels; NaN if one is undefined, as the mean would not be comparable."""
    return float(aurocs(p, y, fold).mean())


def mean_average_precision(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> float:
    """Mean average precision over labels; NaN if one is on no image."""
    return float(average_precisions(p, y).mean())


def macro_f1(p: Float[ndarray, "n k"], y: Int[ndarray, "n k"]) -> float:
    """Mean F1 over labels that are predicted or true; 1 where there are none."""
    scores = f1_scores(p, y)
    judged = scores[np.isfinite(scores)]
    return float(judged.mean()) if len(judged) else 1.0


def _average_precision(p: Float[ndarray, "n"], y: Int[ndarray, "n"]) -> float:
    if not y.any():
        return float("nan")
    own = np.sort(ranks(-p, ties="max")[y == 1])
    return float((np.searchsorted(own, own, side="right") / own).mean())


METRICS: MappingProxyType[str, Metric] = MappingProxyType(
    {
        "macro AUROC": macro_auroc,
        "mean average precision": mean_average_precision,
        "macro F1": macro_f1,
    }
)


def bernoulli_kl(
    output: Float[Tensor, "*s"], other: Float[Tensor, "*s"], temperature: float = 1.0
) -> Float[Tensor, ""]:
    """T^2 KL(other || output) of Bernoulli logits divided by the temperature T, the mean."""
    ours, theirs = output / temperature, other / temperature
    p = theirs.sigmoid()
    apart = p * (F.logsigmoid(theirs) - F.logsigmoid(ours))
    apart = apart + (1 - p) * (F.logsigmoid(-theirs) - F.logsigmoid(-ours))
    return temperature**2 * apart.mean()


class MultiLabel(Task):
    """Multi-label classification with `n_outputs` labels; targets are rows of 0 and 1."""

    kind = "multi-label"
    link = "sigmoid"
    metrics = METRICS
    ranking = MappingProxyType({"macro AUROC": auroc_influences})

    @classmethod
    def from_array(cls, y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
        """Rows of 0 and 1, a column a label."""
        names = labels or [f"finding {i + 1}" for i in range(y.shape[-1])]
        if y.ndim != 2 or y.shape[1] != len(names) or not np.isin(y, (0, 1)).all():
            raise DataError(
                f"Findings are n x {len(names)} of 0 and 1, one column a label, not {y.shape}."
            )
        return torch.from_numpy(y.astype(np.int64)), names

    def renumber(
        self, target: Int[Tensor, "n k"], labels: Sequence[str], wanted: Sequence[str]
    ) -> Int[Tensor, "n q"]:
        """The columns in the order of `wanted`; 0 for a label that the data do not have."""
        found = target.new_zeros(len(target), len(wanted))
        found[:, positions(labels, wanted)] = target
        return found

    def counts(self, target: Int[Tensor, "n k"]) -> list[int]:
        """Number of images with each label."""
        return target.sum(0).tolist()

    def check(self, target: Shaped[Tensor, "..."]) -> None:
        """Check that every label has an image with it, and one without."""
        if target.ndim != 2 or target.shape[1] != self.n_outputs or target.dtype != torch.int64:
            raise DataError(
                f"A target is a row of {self.n_outputs} zeros and ones an image (int64 of shape n "
                f"{self.n_outputs}), not {target.dtype} of shape {tuple(target.shape)}."
            )
        if bool(((target != 0) & (target != 1)).any()):
            raise DataError("A target holds other numbers than 0 (absent) and 1 (present).")
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
        """Bernoulli KL divergence, the mean over labels and images."""
        return bernoulli_kl(output, other, temperature)

    def encode(self, target: Int[Tensor, "n k"], like: Tensor) -> Float[Tensor, "n k"]:
        """0.5 where a label is present, -0.5 where it is absent: the sign decides."""
        return target.to(like) - 0.5

    def decisions(
        self, decoded: Float[ndarray, "n k"], target: Int[ndarray, "n k"]
    ) -> tuple[Bool[ndarray, "n k"], Bool[ndarray, "n k"]]:
        """True labels and predicted labels."""
        return target == 1, decoded > LIKELY

    def decode(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The probability of each label."""
        return output.sigmoid()

    def to_prediction(
        self, output: Float[Tensor, "k"], path: Path, card: Card
    ) -> FindingsPrediction:
        """Predicted labels, and the probability of each label."""
        values = dict(zip(card.labels, self.decode(output[None])[0].tolist(), strict=True))
        there = tuple(label for label, p in values.items() if p > LIKELY)
        return FindingsPrediction(str(path), there, values)

    def present_classes(self, target: Int[Tensor, "n k"]) -> Bool[Tensor, "n two_k"]:
        """Which labels an image has, then which it lacks: a support needs both for each label."""
        return torch.cat([target == 1, target == 0], 1)

    def chance(self, metric: str) -> float | None:
        """0.5 for AUROC."""
        return 0.5 if "AUROC" in metric else None
