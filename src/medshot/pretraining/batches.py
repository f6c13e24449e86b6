"""Which images teach and which judge, and what an objective says of them, step by step."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.core.errors import DataError
from medshot.core.predictor import eval_mode
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.pretraining.objective import Objective

SHARE = 0.1  # of the images, held out
MOST = 256  # images of a set that judge
SEEDS = 1_000_003  # of chance, between one pretraining and the next


@dataclass(frozen=True)
class BatchSource:
    """An objective, the images of each data set that teach it, and those that judge it."""

    objective: Objective
    taught: Sequence[Dataset]
    judges: Sequence[Dataset]
    batch: int
    seed: int
    device: torch.device

    def loss(self, step: int) -> Float[Tensor, ""]:
        """The loss of a step, on images of one set: the sets take turns, large or small."""
        self.objective.train()
        which = step % len(self.taught)
        rng = torch.Generator().manual_seed(self.seed * SEEDS + step)
        n = len(self.taught[which])
        return self._on(self.taught[which], which, torch.randperm(n, generator=rng), rng)

    def judge(self) -> float:
        """The loss on what is held out: always the same images and the same chance."""
        with eval_mode(self.objective):
            found = [self._of_set(which) for which in range(len(self.judges))]
        return sum(found) / len(found)

    def _of_set(self, which: int) -> float:
        dataset = self.judges[which]
        rng = torch.Generator().manual_seed(which)
        parts = torch.arange(min(len(dataset), MOST)).split(self.batch)
        losses = [float(self._on(dataset, which, part, rng)) * len(part) for part in parts]
        return sum(losses) / sum(len(part) for part in parts)

    def _on(
        self, dataset: Dataset, which: int, index: Int[Tensor, "n"], rng: torch.Generator
    ) -> Float[Tensor, ""]:
        shown = dataset.examples(index[: self.batch])
        x, y = shown.x.to(self.device), shown.y.to(self.device)
        return self.objective.loss(x, y, which, rng)


def held_out(dataset: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """`dataset` without and with about a tenth of its images, whole patients.

    Raises:
        DataError: too few patients, or images.
    """
    own = own_groups(dataset.groups)
    groups = own.unique()
    order = groups[torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))]
    sizes = torch.stack([(own == group).sum() for group in order])
    count = max(1, int((sizes.cumsum(0) <= SHARE * len(own)).sum()))
    judges = torch.isin(own, order[:count])
    if (~judges).sum() < 2:
        raise DataError(
            f"{dataset.name} has {len(dataset)} image(s) of {len(groups)} patient(s): too few to "
            "learn from some and to judge by others. Add some, or leave this set out."
        )
    return dataset.subset((~judges).nonzero().flatten()), dataset.subset(judges.nonzero().flatten())
