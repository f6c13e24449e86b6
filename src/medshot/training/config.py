"""The numbers of a meta-training, in one place: checked, recorded, used."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from medshot.core.errors import ConfigError

COUNTS = ("steps", "meta_batch", "halve_every", "val_every", "val_episodes", "patience", "workers")

# What came later and is not recorded where it is as it was before: older runs go on.
LATER: dict[str, Any] = {"vectorise": None, "terms": []}


@dataclass(frozen=True)
class Settings:
    """What `medshot.train` was asked for; see there for what each means.

    Raises:
        ConfigError: a number that must be positive is not.
    """

    way: int
    shot: int
    query: int
    steps: int
    meta_batch: int
    lr: float
    halve_every: int | None
    val_every: int
    val_episodes: int
    patience: int | None
    seed: int
    bf16: bool
    channels_last: bool
    workers: int
    vectorise: bool | None
    terms: list[dict[str, Any]]

    def __post_init__(self) -> None:
        for name in COUNTS:
            count = getattr(self, name)
            if count is not None and count < 1:
                raise ConfigError(f"{name} is {count}, but must be at least 1.")
        if not 0 < self.lr < math.inf:
            raise ConfigError(f"lr is {self.lr}, but must be above 0 and finite.")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, but must be at least 0.")

    def record(self) -> dict[str, Any]:
        """All that must be the same for a run to go on; it may go on for more steps."""
        left_out = {
            "steps",
            *(name for name, usual in LATER.items() if getattr(self, name) == usual),
        }
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def rate(self, step: int) -> float:
        """The rate of the step that follows `step` others."""
        return self.lr * 0.5 ** (step // self.halve_every if self.halve_every else 0)
