"""Search space: families of learners and the ranges of their settings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from medshot.core.errors import ConfigError

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
class Family:
    """A learner on an encoder; a setting is a `FloatRange`, a `Categorical`, or fixed.

    `simple` families are tried first, and are the candidates of `auto`.
    """

    learner: str
    encoder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    simple: bool = False

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

    def __init__(self, *families: Family) -> None:
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
