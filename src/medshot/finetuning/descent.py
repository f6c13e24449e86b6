"""The descent of all ways: on the loss of the support, and never far from the start."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor
from torch.nn.utils import parametrize

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.core.task import Task
from medshot.finetuning.freed import Freed
from medshot.training.descent import batch_of, descend
from medshot.training.progress import Row, Watch, quiet

SOURCE = "Li et al. 2018, arXiv:1802.01483"  # the pull to the start


@dataclass(frozen=True)
class Descent:
    """Adam with the rate `lr`, `batch` images a step; `pull` is how strong the start pulls back.

    Source: Li, Grandvalet & Davoine 2018, arXiv:1802.01483 (L2-SP): half of `pull` times the
    squared distance to the start is added to the loss.

    Where we differ: the distance is that of the weights that the layers work with, the same for all
    ways (of LoRA's A and B, of what they add up to). The head, which they begin anew and pull to
    zero, has a start here too.
    """

    lr: float
    pull: float
    batch: int

    def __post_init__(self) -> None:
        if not 0 <= self.pull < math.inf or self.batch < 1:
            raise ConfigError(f"pull={self.pull} is at least 0, and batch={self.batch} above 0.")

    def run(
        self,
        freed: Freed,
        examples: Examples,
        task: Task,
        steps: int,
        *,
        judge: Callable[[], float] | None = None,
        judge_every: int = 10,
        folder: Path | None = None,
        watch: Watch = quiet,
    ) -> list[Row]:
        """Move `freed` for `steps` steps; the rows of `medshot.training.descent`."""

        def loss(step: int) -> Float[Tensor, ""]:
            shown = examples[batch_of(step, len(examples), self.batch)]
            with parametrize.cached():  # the loss and the distance ask for the same weights
                told = task.loss(freed.predictor(shown.x), shown.y)
                return told + self.pull / 2 * freed.distance()

        return descend(
            freed.predictor,
            loss,
            steps=steps,
            lr=self.lr,
            judge=judge,
            judge_every=judge_every,
            folder=folder,
            settings={**asdict(self), "what": freed.way.name, "moving": freed.moving},
            watch=watch,
        )
