"""Training and validation batches of pretraining."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.core import DataError, eval_mode
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.pretraining.objective import Objective

SHARE = 0.1  # fraction of the images that is held out
MOST = 256  # validation images of a data set at most
SEEDS = 1_000_003  # distance between the generator seeds of two values of `seed`


@dataclass(frozen=True)
class BatchSource:
    """An objective with the training and validation images of each data set."""

    objective: Objective
    taught: Sequence[Dataset]
    held: Sequence[Dataset]
    batch: int
    seed: int
    device: torch.device

    def loss(self, step: int) -> Float[Tensor, ""]:
        """Loss of a step on a batch of one data set; the sets take turns, whatever their size."""
        self.objective.train()
        which = step % len(self.taught)
        rng = torch.Generator().manual_seed(self.seed * SEEDS + step)
        n = len(self.taught[which])
        return self._on(self.taught[which], which, torch.randperm(n, generator=rng), rng)

    def val_loss(self) -> float:
        """Validation loss, with the same images and random numbers each time."""
        with eval_mode(self.objective):
            found = [self._of_set(which) for which in range(len(self.held))]
        return sum(found) / len(found)

    def _of_set(self, which: int) -> float:
        dataset = self.held[which]
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
    """Split `dataset` into training data and about a tenth for validation, by patient.

    Raises:
        DataError: too few patients, or images.
    """
    own = own_groups(dataset.groups)
    groups = own.unique()
    order = groups[torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))]
    sizes = torch.stack([(own == group).sum() for group in order])
    count = max(1, int((sizes.cumsum(0) <= SHARE * len(own)).sum()))
    held = torch.isin(own, order[:count])
    if (~held).sum() < 2:
        raise DataError(
            f"{dataset.name} has {len(dataset)} image(s) of {len(groups)} patient(s): too few to "
            "hold some out for validation. Add some, or leave this data set out."
        )
    return dataset.subset((~held).nonzero().flatten()), dataset.subset(held.nonzero().flatten())
