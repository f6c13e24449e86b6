"""An attack looks, near each image, for one that a predictor does worse on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.errors import TaskError
from medshot.core.predictor import SITES, Predictor, eval_mode
from medshot.core.task import Task
from medshot.robust.budget import Budget

Images = Float[Tensor, "n c *s"]
Losses = Callable[[Images], Float[Tensor, "n"]]  # a loss an image


@dataclass(frozen=True)
class Attack(ABC):
    """Within `budget`, images on which the task's loss is higher. A subclass writes `search`.

    The loss is that of each image by itself, so that what is found for an image does not depend
    on the others. The predictor is in eval mode meanwhile, and gets no gradient.
    """

    budget: Budget
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
