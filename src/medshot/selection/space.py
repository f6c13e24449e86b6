"""Search space: families of learners and the ranges of their settings.

The portfolio is the few configurations that cover the scores on other data sets best.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core import ConfigError

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class FloatRange:
    """Log-uniform range from `low` to `high`; `starts` are tried first."""

    low: int | float
    high: int | float
    starts: tuple[int | float, ...]

    def drawn(self, trial: "BaseTrial", name: str) -> int | float:
        """Suggested value; an integer if both limits are integers."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=True)
        return trial.suggest_float(name, self.low, self.high, log=True)

    def holds(self, value: object) -> bool:
        """Whether `value` is in the range."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Categorical:
    """One of `values`; the first is tried first."""

    values: tuple[Any, ...]

    @property
    def starts(self) -> tuple[Any, ...]:
        """Values to try first."""
        return self.values[:1]

    def drawn(self, trial: "BaseTrial", name: str) -> Any:
        """Suggested value."""
        return trial.suggest_categorical(name, self.values)

    def holds(self, value: object) -> bool:
        """Whether `value` is one of the values."""
        return value in self.values


METHOD = "method"  # parameter for the family, drawn first
FINETUNE = "finetune"  # setting of any learner: its fine-tuning method


@dataclass(frozen=True)
class Configuration:
    """A learner on an encoder, with settings as `--set` takes them."""

    learner: str
    encoder: str = ""  # "" for a learner with its own
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name in tables."""
        name = f"{self.learner} on {self.encoder}" if self.encoder else self.learner
        return f"{name}, fine-tuned" if FINETUNE in self.settings else name

    @property
    def words(self) -> str:
        """The settings as command-line text."""
        return " ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.settings.items()
        )

    @property
    def key(self) -> str:
        """Canonical key, independent of the order of the settings."""
        return json.dumps([self.name, sorted(self.settings.items())])


@dataclass(frozen=True)
class LearnerFamily:
    """A learner on an encoder; a setting is a `FloatRange`, a `Categorical`, or fixed.

    `simple` families are tried first, and are the candidates of `auto`; those that are `slow`, too,
    where the time for them is given.
    """

    learner: str
    encoder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    simple: bool = False
    slow: bool = False

    @property
    def name(self) -> str:
        """Name of its configurations."""
        return Configuration(self.learner, self.encoder, self.settings).name

    @property
    def free(self) -> dict[str, FloatRange | Categorical]:
        """Settings that are not fixed."""
        return {n: s for n, s in self.settings.items() if isinstance(s, FloatRange | Categorical)}

    def at(self, values: Mapping[str, Any]) -> Configuration:
        """Configuration with these free settings."""
        return Configuration(self.learner, self.encoder, {**self.settings, **values})

    def starts(self) -> Iterator[Configuration]:
        """Configurations to try first."""
        for values in product(*(setting.starts for setting in self.free.values())):
            yield self.at(dict(zip(self.free, values, strict=True)))

    def holds(self, wanted: Configuration) -> bool:
        """Whether `wanted` is one of its configurations."""
        if wanted.name != self.name or set(wanted.settings) != set(self.settings):
            return False
        fixed = {n: s for n, s in self.settings.items() if n not in self.free}
        same = all(wanted.settings[n] == s for n, s in fixed.items())
        return same and all(s.holds(wanted.settings[n]) for n, s in self.free.items())


class Space:
    """Families by name; converts between configurations and trial parameters.

    Raises:
        ConfigError: two families have one name.
    """

    def __init__(self, *families: LearnerFamily) -> None:
        self.families = {family.name: family for family in families}
        if len(self.families) < len(families):
            names = [family.name for family in families]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(f"{', '.join(twice)} would be tried twice; name each learner once.")

    def suggested(self, trial: "BaseTrial") -> Configuration:
        """Configuration of a trial."""
        family = self.families[trial.suggest_categorical(METHOD, list(self.families))]
        return family.at({n: s.drawn(trial, f"{family.name}: {n}") for n, s in family.free.items()})

    def parameters(self, wanted: Configuration) -> dict[str, Any] | None:
        """Trial parameters of `wanted`; None if it is outside the space."""
        family = self.families.get(wanted.name)
        if family is None or not family.holds(wanted):
            return None
        values = {f"{family.name}: {name}": wanted.settings[name] for name in family.free}
        return {METHOD: family.name, **values}


STORED = Path(__file__).with_name("portfolio.json")
PRIORS = Path(__file__).with_name("prior.json")
Prior = Mapping[str, tuple[float, float]]  # mean and standard deviation of each candidate


@cache
def packaged_priors() -> dict[str, dict[int, Prior]]:
    """The packaged prior of each task that has one, by the number of images."""
    found = json.loads(PRIORS.read_text(encoding="utf-8"))
    return {
        kind: {
            int(shot): {name: (pair[0], pair[1]) for name, pair in prior.items()}
            for shot, prior in shots.items()
        }
        for kind, shots in found["kinds"].items()
    }


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of each configuration on other data sets, by number of images per class."""

    configurations: tuple[Configuration, ...]
    sets: tuple[str, ...]  # data set of each row
    shots: tuple[int, ...]  # images per class of each row
    scores: Float[ndarray, "rows configurations"]

    def portfolio(
        self, most: int, shot: int | float, without: Sequence[str] = ()
    ) -> list[Configuration]:
        """`most` configurations, greedily the one that adds most to those before it.

        Source: greedy default portfolio, Pfisterer et al. 2021, arXiv:1811.09409; warm start from
        other data sets, Feurer et al. 2015, NeurIPS 28. The loss of a row is the regret of the
        best in the portfolio against the best of all. Each data set contributes the row whose
        shot is closest to `shot`, by ratio. Data sets in `without` are excluded.
        """
        rows = [row for name in dict.fromkeys(self.sets) for row in self._nearest(name, shot)]
        rows = [row for row in rows if self.sets[row] not in without]
        if not rows:
            return []
        lost = self.scores[rows].max(1, keepdims=True) - self.scores[rows]
        chosen: list[int] = []
        so_far = np.full((len(rows), 1), np.inf)
        while len(chosen) < min(most, len(self.configurations)):
            total = np.minimum(so_far, lost).mean(0)
            order = [*np.lexsort((lost.mean(0), total))]  # ties: the best by itself
            chosen.append(int(next(c for c in order if c not in chosen)))
            so_far = lost[:, chosen].min(1, keepdims=True)
        return [self.configurations[c] for c in chosen]

    def _nearest(self, name: str, shot: int | float) -> list[int]:
        rows = [row for row, each in enumerate(self.sets) if each == name]
        return sorted(rows, key=lambda row: abs(math.log(self.shots[row] / max(shot, 1))))[:1]


@cache
def packaged_table() -> dict[str, ScoreTable]:
    """The packaged table of each task that has one."""
    found = json.loads(STORED.read_text(encoding="utf-8"))
    return {kind: score_table(one) for kind, one in found["kinds"].items()}


def score_table(found: dict) -> ScoreTable:
    """A table from its JSON: `configurations`, and `rows` with `set`, `shot` and `scores`."""
    rows = found["rows"]
    return ScoreTable(
        tuple(Configuration(**each) for each in found["configurations"]),
        tuple(row["set"] for row in rows),
        tuple(row["shot"] for row in rows),
        np.array([row["scores"] for row in rows], dtype=float),
    )
