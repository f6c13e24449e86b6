"""Accuracy on corrupted images, by family (noise, blur, light, files) and severity 1 to 5.

Source: the families (digital, noise, blur, colour, task-specific) and the idea are those of
Di Salvo, Doerrich & Ledig 2024, arXiv:2406.17536 (MedMNIST-C), after Hendrycks & Dietterich 2019,
arXiv:1903.12261. Where we differ: kinds and strengths are our own, the same for every set, so
numbers here cannot be compared with theirs. Those of `medshot.data.corruptions` are among them.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from medshot.core import ConfigError, Predictor, unknown
from medshot.data import corruptions as simulated
from medshot.data.corruptions import degraded
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold, answered
from medshot.evaluation.statistics import Interval
from medshot.stages.robustness.harden import refuse_volumes
from medshot.training.progress import Watch, quiet

SEVERITIES = (1, 2, 3, 4, 5)
Corruption = Callable[[Float[ndarray, "d h w"], float, np.random.Generator], ndarray]


def _known(kind: str) -> Corruption:
    """One of `medshot.data.corruptions`."""
    return lambda image, strength, rng: degraded(image, kind, strength, rng)


FAMILIES: Mapping[str, Mapping[str, Corruption]] = {
    "digital": {"fewer pixels": _known("coarse"), "jpeg": _known("jpeg")},
    "noise": {
        "gaussian noise": _known("gaussian"),
        "shot noise": _known("poisson"),
        "speckle": _known("speckle"),
        "impulses": simulated.impulses,
    },
    "blur": {"gaussian blur": _known("blur"), "motion blur": simulated.motion},
    "light": {
        "brighter": partial(simulated.brighter, sign=1),
        "darker": partial(simulated.brighter, sign=-1),
        "more contrast": partial(simulated.contrast, sign=1),
        "less contrast": partial(simulated.contrast, sign=-1),
        "colour cast": simulated.cast,
    },
    "modality": {
        "stripes": _known("stripes"),
        "ghost": _known("ghost"),
        "shading": simulated.shading,
        "rician noise": _known("rician"),
    },
}
CORRUPTIONS = {name: kind for family in FAMILIES.values() for name, kind in family.items()}


def corrupted(
    x: Float[Tensor, "n c h w"], kind: str, severity: int, seed: int = 0
) -> Float[Tensor, "n c h w"]:
    """Images in [0, 1] with one thing wrong with them, in severity 1 to 5.

    The same images, seed and kind give the same, whatever else is corrupted before.

    Raises:
        ConfigError: an unknown kind, or a severity that is none of 1 to 5.
    """
    if kind not in CORRUPTIONS:
        raise unknown(kind, CORRUPTIONS, kind="corruption")
    if severity not in SEVERITIES:
        raise ConfigError(f"A severity is 1, 2, 3, 4 or 5, not {severity}.")
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode()), severity])
    images = x.detach().cpu().double().numpy()
    made = [CORRUPTIONS[kind](image, severity / SEVERITIES[-1], rng) for image in images]
    return torch.from_numpy(np.stack(made).clip(0, 1)).to(x)


@dataclass(frozen=True, eq=False)
class Corrupted:
    """The answers for every kind of one family, at each severity."""

    answers: Mapping[tuple[str, int], OutOfFold]

    def all(self) -> OutOfFold:
        """Those of all kinds and severities together, each image many times."""
        return pooled(list(self.answers.values()))

    def at(self, severity: int) -> OutOfFold:
        """Those of all kinds at one severity."""
        return pooled([found for (_, s), found in self.answers.items() if s == severity])

    def to_json(self) -> dict[str, Any]:
        """The leading metric of each kind by severity, and of all with its interval."""
        metric = next(iter(self.answers.values())).task.leading
        kinds: dict[str, list[float]] = {}
        for (kind, _), found in self.answers.items():
            kinds.setdefault(kind, []).append(_value(found, metric))
        return {"kinds": kinds, metric: vars(self.all().interval(metric))}


def corruptions(
    predictor: Predictor,
    dataset: Dataset,
    *,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    watch: Watch = quiet,
) -> dict[str, Corrupted]:
    """The answers of `predictor` for corrupted copies of `dataset`, by family.

    Raises:
        ConfigError: a severity that is none of 1 to 5.
        TaskError: the predictor takes volumes.
    """
    refuse_volumes(predictor)
    found: dict[str, Corrupted] = {}
    kinds = [(f, kind, s) for f, family in FAMILIES.items() for kind in family for s in severities]
    with watch(len(kinds), 0) as tick:
        for i, (family, kind, severity) in enumerate(kinds, 1):
            change = lambda shown, k=kind, s=severity: corrupted(shown.x, k, s, seed)  # noqa: E731
            before = dict(found[family].answers) if family in found else {}
            before[kind, severity] = answered(predictor, dataset, change)
            found[family] = Corrupted(before)
            tick(i, None)
    return found


def pooled(parts: Sequence[OutOfFold]) -> OutOfFold:
    """Answers for changed copies of the same images as one; a patient is still one patient."""
    fields = ("decoded", "y", "groups", "strata")
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in fields}
    return replace(parts[0], **joined)


def lost(clean: OutOfFold, found: OutOfFold) -> Interval:
    """What the leading metric is lower by, with an interval over the same patients."""
    copies = len(found.y) // len(clean.y)
    return pooled([clean] * copies).minus(found, clean.task.leading)


def _value(found: OutOfFold, metric: str) -> float:
    return float(found.task.metrics[metric](*found.evidence))
