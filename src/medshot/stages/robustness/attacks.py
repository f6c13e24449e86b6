"""Adversarial attacks: FGSM, PGD and Square (black-box, without gradients)."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core import (
    SITES,
    ConfigError,
    Examples,
    Predictor,
    Task,
    TaskError,
    eval_mode,
    unknown,
)
from medshot.stages.robustness.threat_model import ThreatModel

Images = Float[Tensor, "n c *s"]
Losses = Callable[[Images], Float[Tensor, "n"]]  # a loss an image


@dataclass(frozen=True)
class Attack(ABC):
    """Within `budget`, images on which the task's loss is higher. A subclass writes `search`.

    The loss is that of each image by itself, so that what is found for an image does not depend
    on the others. The predictor is in eval mode meanwhile, and gets no gradient.
    """

    budget: ThreatModel
    name: ClassVar[str]
    source: ClassVar[str]  # author, year, identifier

    @property
    @abstractmethod
    def passes(self) -> int:
        """How often it asks the predictor about an image."""

    @abstractmethod
    def search(self, losses: Losses, x: Images) -> Images:
        """Images near `x` with higher losses."""

    def __call__(self, predictor: Predictor, task: Task, examples: Examples) -> Images:
        """What it makes of the images of `examples`, a few at a time.

        Raises:
            ConfigError: images outside of [0, 1], or an epsilon that leaves nothing of them.
            TaskError: the attack needs a gradient, and the predictor passes none.
        """
        self.budget.check(examples.x)
        if not len(examples):
            return examples.x
        few = max(1, SITES // examples.x[0, 0].numel())
        with eval_mode(predictor):
            parts = torch.arange(len(examples)).split(few)
            return torch.cat([self._on(predictor, task, examples[part]) for part in parts])

    def describe(self) -> dict[str, Any]:
        """Its name and budget, for a record."""
        return {"attack": self.name, "epsilon": str(self.budget), "norm": self.budget.norm}

    def __str__(self) -> str:
        """Its name for people and how often it tries: `PGD-10`."""
        return self.name.upper()

    def _on(self, predictor: Predictor, task: Task, examples: Examples) -> Images:
        def losses(x: Images) -> Tensor:
            return losses_of(task, predictor(x), examples.y)

        return self.search(losses, examples.x.detach()).detach()


def losses_of(task: Task, output: Tensor, target: Tensor) -> Float[Tensor, "n"]:
    """The loss of every image by itself."""
    rows = (task.loss(output[i : i + 1], target[i : i + 1]) for i in range(len(output)))
    return torch.stack(list(rows))


def passes_gradient(predictor: Predictor, task: Task, one: Examples) -> bool:
    """Whether a gradient comes back from the loss to the image: not so in whole numbers."""
    with eval_mode(predictor):
        try:
            gradient(lambda x: losses_of(task, predictor(x), one.y), one.x)
        except TaskError:
            return False
    return True


def gradient(losses: Losses, x: Images) -> Images:
    """How the loss of each image changes with each of its values.

    Raises:
        TaskError: no gradient comes back from the losses to the images.
    """
    with torch.enable_grad():
        asked = x.detach().requires_grad_(True)
        total = losses(asked).sum()
        found = None
        if total.requires_grad:
            (found,) = torch.autograd.grad(total, asked, allow_unused=True)
    if found is None:
        raise TaskError(
            "This predictor passes no gradient from its answer to the image (its arithmetic is in "
            "whole numbers, or outside of PyTorch), so it can neither be hardened nor be attacked "
            "by its gradient. Take the model as it was before that, or the attack 'square'."
        )
    return found


@dataclass(frozen=True)
class FGSM(Attack):
    """`epsilon` along the sign of the gradient; in L2, along the gradient itself.

    Source: Goodfellow, Shlens & Szegedy 2015, arXiv:1412.6572.
    """

    name = "fgsm"
    source = "Goodfellow et al. 2015, arXiv:1412.6572"

    @property
    def passes(self) -> int:
        """One."""
        return 1

    def search(self, losses: Losses, x: Images) -> Images:
        """One step."""
        step = self.budget.measure.steepest(gradient(losses, x))
        return self.budget.fitted(x + self.budget.epsilon * step, x)


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


ATTACKS: dict[str, type[Attack]] = {kind.name: kind for kind in (FGSM, PGD, Square)}


def attack_called(name: str, budget: ThreatModel, **options: Any) -> Attack:
    """The attack of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ATTACKS:
        raise unknown(name, ATTACKS, kind="attack")
    return ATTACKS[name](budget, **options)
