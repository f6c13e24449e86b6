"""When a search ends."""

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medshot.select.record import rows_of

if TYPE_CHECKING:
    from optuna.study import Study

AGAIN = 30  # times in a row that something is drawn which was tried: then there is nothing else


@dataclass(frozen=True)
class Limits:
    """When a search ends: after so many seconds of one worker, or so many trials of all."""

    seconds: int | float = math.inf
    trials: int | None = None


class Clock:
    """How much of the limits is spent."""

    def __init__(self, limits: Limits, before: float) -> None:
        self.limits, self.before, self.started = limits, before, time.monotonic()
        self.in_vain = 0

    @property
    def spent(self) -> float:
        """Seconds, those of killed processes of this worker among them."""
        return self.before + time.monotonic() - self.started

    @property
    def total(self) -> int:
        """What a bar counts to: trials, if they are limited, or seconds."""
        return self.limits.trials or math.ceil(self.limits.seconds)

    def done(self, study: "Study") -> int:
        """How far that is."""
        count = len(rows_of(study)) if self.limits.trials else int(self.spent)
        return min(count, self.total)

    def draw(self, study: "Study") -> tuple[int, int, int]:
        """Which draw is next: the same after a kill, another where a second worker is at work."""
        others = sum(trial.state.name == "RUNNING" for trial in study.get_trials(deepcopy=False))
        return len(rows_of(study)), others, self.in_vain

    def ended(self, study: "Study") -> bool:
        """Whether no further trial is begun; one is always."""
        rows = len(rows_of(study))
        out = self.spent >= self.limits.seconds or self.in_vain >= AGAIN
        return (rows > 0 and out) or rows >= (self.limits.trials or math.inf)
