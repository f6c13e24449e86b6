"""How well a predictor does on corrupted images: a row a family, over its kinds and severities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.evaluation.answered import answered
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.statistics import Interval
from medshot.robust.corruptions import FAMILIES, SEVERITIES, corrupted
from medshot.robust.harden import refuse_volumes
from medshot.training.progress import Watch, quiet


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
