"""Projected gradient descent (of the loss: ascent): many small steps, each brought back."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from medshot.core.errors import ConfigError
from medshot.robust.attack import Attack, Images, Losses, gradient


@dataclass(frozen=True)
class PGD(Attack):
    """`steps` steps along the steepest ascent, from a random start near the image.

    Source: Madry et al. 2018, arXiv:1706.06083.

    A step is `rate` long, by default so that `steps` of them are 2.5 times `epsilon`: far enough to
    reach the edge from anywhere and to go along it. What the last step gives is the result, as in
    the paper. The same `seed` gives the same start.

    Raises:
        ConfigError: no step, or one of a length that cannot be.
    """

    steps: int = 10
    rate: float | None = None
    random_start: bool = True
    seed: int = 0
    name = "pgd"
    source = "Madry et al. 2018, arXiv:1706.06083"

    def __post_init__(self) -> None:
        if self.steps < 1 or not (self.rate is None or 0 < self.rate < math.inf):
            raise ConfigError(
                f"An attack takes at least 1 step of a length above 0, not {self.steps} of "
                f"{self.rate}."
            )

    @property
    def passes(self) -> int:
        """One a step."""
        return self.steps

    def search(self, losses: Losses, x: Images) -> Images:
        """All steps."""
        budget = self.budget
        rate = self.rate or 2.5 * budget.epsilon / self.steps
        found = x
        if self.random_start:
            rng = torch.Generator().manual_seed(self.seed)
            found = budget.fitted(x + budget.measure.drawn(x, budget.epsilon, rng), x)
        for _ in range(self.steps):
            step = budget.measure.steepest(gradient(losses, found))
            found = budget.fitted(found + rate * step, x)
        return found

    def describe(self) -> dict[str, Any]:
        """Its name, budget and steps."""
        return {**super().describe(), "attack_steps": self.steps}

    def __str__(self) -> str:
        """Its name for people."""
        return f"PGD-{self.steps}"
