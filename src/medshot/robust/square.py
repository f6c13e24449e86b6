"""A black-box attack: random squares, kept where the answer gets worse. It needs no gradient."""

from dataclasses import dataclass
from typing import Any

import torch

from medshot.core.errors import ConfigError
from medshot.robust.attack import Attack, Images, Losses

SMALLER_AFTER = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries


@dataclass(frozen=True)
class Square(Attack):
    """Tries one square an image and query, and keeps it where the loss rises.

    Source: Andriushchenko et al. 2020, arXiv:1912.00049. The paper's symbols: p is the share of an
    image that a square covers, `share` at first and halved on the paper's schedule, rescaled to
    `queries`. It begins from stripes a pixel wide, as in the paper.

    Where we differ: the loss is the task's own, so that it goes for every kind of task, where the
    paper takes the margin of two classes; and in L2 a square is added and all brought back to
    length `epsilon`, where the paper moves length from one window to another.

    Raises:
        ConfigError: no query, or a share outside of (0, 1].
    """

    queries: int = 200
    share: float = 0.8
    seed: int = 0
    name = "square"
    source = "Andriushchenko et al. 2020, arXiv:1912.00049"

    def __post_init__(self) -> None:
        if self.queries < 1 or not 0 < self.share <= 1:
            raise ConfigError(
                f"The square attack takes at least 1 query, and squares of a share in (0, 1], not "
                f"{self.queries} and {self.share}."
            )

    @property
    def passes(self) -> int:
        """One a query, and two to begin with."""
        return self.queries + 2

    @torch.no_grad()
    def search(self, losses: Losses, x: Images) -> Images:
        """Random search."""
        rng = torch.Generator().manual_seed(self.seed)
        found, worst = x, losses(x)
        for query in range(self.queries + 1):
            tried = self._stripes(x, rng) if query == 0 else self._square(found, x, query, rng)
            loss = losses(tried)
            better = loss > worst
            found = torch.where(better.view(-1, *[1] * (x.ndim - 1)), tried, found)
            worst = torch.where(better, loss, worst)
        return found

    def describe(self) -> dict[str, Any]:
        """Its name, budget and queries."""
        return {**super().describe(), "queries": self.queries}

    def __str__(self) -> str:
        """Its name for people."""
        return f"square-{self.queries}"

    def _stripes(self, x: Images, rng: torch.Generator) -> Images:
        signs = _signs((*x.shape[:2], *[1] * (x.ndim - 3), x.shape[-1]), rng).to(x)
        height = self.budget.measure.height(self.budget.epsilon, x[0].numel())
        return self.budget.fitted(x + height * signs, x)

    def _square(self, found: Images, x: Images, query: int, rng: torch.Generator) -> Images:
        """`found` with a square on each image raised or lowered, each channel by itself."""
        rows, columns = x.shape[-2:]
        share = self.share * 0.5 ** sum(10_000 * query > n * self.queries for n in SMALLER_AFTER)
        side = min(max(1, round((share * rows * columns) ** 0.5)), rows, columns)
        height = self.budget.measure.height(self.budget.epsilon, side**2 * x[0, ..., 0, 0].numel())
        raised = torch.zeros_like(x)
        for image in raised:
            top, left = (
                int(torch.randint(n - side + 1, (), generator=rng)) for n in (rows, columns)
            )
            signs = _signs((x.shape[1], *[1] * (x.ndim - 2)), rng).to(x)
            image[..., top : top + side, left : left + side] = height * signs
        return self.budget.fitted(found + raised, x)


def _signs(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return 2.0 * torch.randint(2, shape, generator=rng) - 1
