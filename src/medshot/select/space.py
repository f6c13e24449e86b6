"""What may be tried: families of learners, and what their settings may be.

Between what a setting may be, and where one begins.
"""

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
    """A number from `low` to `high`, drawn on a logarithmic scale; first tried at `starts`."""

    low: int | float
    high: int | float
    starts: tuple[int | float, ...]

    def drawn(self, trial: "BaseTrial", name: str) -> int | float:
        """As a trial suggests it: a whole number where the limits are such."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=True)
        return trial.suggest_float(name, self.low, self.high, log=True)

    def holds(self, value: object) -> bool:
        """Whether it may be `value`."""
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Categorical:
    """One of `values`, first tried at the first."""

    values: tuple[Any, ...]

    @property
    def starts(self) -> tuple[Any, ...]:
        """What is tried first."""
        return self.values[:1]

    def drawn(self, trial: "BaseTrial", name: str) -> Any:
        """As a trial suggests it."""
        return trial.suggest_categorical(name, self.values)

    def holds(self, value: object) -> bool:
        """Whether it may be `value`."""
        return value in self.values


METHOD = "method"  # the first thing that is drawn: of which family
FINETUNE = "finetune"  # a setting of any learner: the way in which it is fine-tuned afterwards


@dataclass(frozen=True)
class Configuration:
    """A learner on an encoder, with settings as `--set` takes them."""

    learner: str
    encoder: str = ""  # none for a learner that brings its own
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As it is called in tables."""
        name = f"{self.learner} on {self.encoder}" if self.encoder else self.learner
        return f"{name}, fine-tuned" if FINETUNE in self.settings else name

    @property
    def words(self) -> str:
        """The settings, as one would type them."""
        return " ".join(
            f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.settings.items()
        )

    @property
    def key(self) -> str:
        """The same for the same, whatever the order of the settings."""
        return json.dumps([self.name, sorted(self.settings.items())])


@dataclass(frozen=True)
class Family:
    """A learner on an encoder; a setting is a `FloatRange`, a `Categorical`, or fixed.

    Those that are `simple` are tried first, and are what `auto` chooses from.
    """

    learner: str
    encoder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    simple: bool = False

    @property
    def name(self) -> str:
        """As its configurations are called."""
        return Configuration(self.learner, self.encoder, self.settings).name

    @property
    def free(self) -> dict[str, FloatRange | Categorical]:
        """The settings that are not fixed."""
        return {n: s for n, s in self.settings.items() if isinstance(s, FloatRange | Categorical)}

    def at(self, values: Mapping[str, Any]) -> Configuration:
        """The configuration with these free settings."""
        return Configuration(self.learner, self.encoder, {**self.settings, **values})

    def starts(self) -> Iterator[Configuration]:
        """The configurations that are tried first."""
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
    """Families by name, and the way between configurations and the parameters of a trial.

    Raises:
        ConfigError: two families have one name.
    """

    def __init__(self, *families: Family) -> None:
        self.families = {family.name: family for family in families}
        if len(self.families) < len(families):
            names = [family.name for family in families]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(f"{', '.join(twice)} would be tried twice. Name each learner once.")

    def suggested(self, trial: "BaseTrial") -> Configuration:
        """The configuration that a trial is of."""
        family = self.families[trial.suggest_categorical(METHOD, list(self.families))]
        return family.at({n: s.drawn(trial, f"{family.name}: {n}") for n, s in family.free.items()})

    def parameters(self, wanted: Configuration) -> dict[str, Any] | None:
        """What a trial has to suggest to be of `wanted`; None where it lies outside."""
        family = self.families.get(wanted.name)
        if family is None or not family.holds(wanted):
            return None
        values = {f"{family.name}: {name}": wanted.settings[name] for name in family.free}
        return {METHOD: family.name, **values}
