"""Between what a setting may be, and where one begins."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import BaseTrial


@dataclass(frozen=True)
class Between:
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
class OneOf:
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
