"""Supervised multi-task pretraining: one encoder, a linear head for each data set."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import Task, TaskError
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder
from medshot.nn.heads import rows_to_grid, sites
from medshot.pretraining.augment import check_strength, color_jitter, moved
from medshot.pretraining.objective import Objective, objective


@objective("supervise")
class Supervise(Objective):
    """Loss of each data set's task on its own linear head.

    Source: Caruana 1997, doi:10.1023/A:1007379606734 (multitask learning); Tian et al. 2020,
    arXiv:2003.11539, for an encoder that is trained with plain labels and evaluated on new classes.

    The data sets may have different labels and different tasks: masks and boxes need a dense
    encoder (`keeps_grid`), whose features are averaged for image-level tasks. Images with dense
    targets get color jitter only, because the targets would have to be moved with them.

    Raises:
        TaskError: dense targets with an image-level encoder; or images as targets.
        DataError: a data set whose targets do not fit its task (only one class, for example).
    """

    source = "Caruana 1997, doi:10.1023/A:1007379606734"

    def __init__(self, encoder: Encoder, sets: Sequence[Dataset], *, augment: float = 0.5) -> None:
        super().__init__(encoder)
        check_strength(augment)
        self.augment = augment
        self.tasks = [_task(dataset, encoder) for dataset in sets]
        heads = (nn.Linear(encoder.n_features, task.n_outputs) for task in self.tasks)
        self.heads = nn.ModuleList(heads)

    def loss(
        self, x: Float[Tensor, "n c h w"], y: Tensor, which: int, rng: torch.Generator
    ) -> Float[Tensor, ""]:
        """Loss of task `which`."""
        task = self.tasks[which]
        if not task.on_grid:
            x = moved(x, rng, self.augment)
        z = self.encoder(color_jitter(x, rng, self.augment))
        if self.encoder.keeps_grid and not task.on_grid:
            z = z.flatten(2).mean(2)
        return task.loss(rows_to_grid(self.heads[which](sites(z)), z), y)


def _task(dataset: Dataset, encoder: Encoder) -> Task:
    """Task of `dataset`, if a head on this encoder can learn it."""
    task = dataset.task
    if task.from_image:
        raise TaskError(f"{dataset.name}: for images as targets, take --objective reconstruct.")
    if task.on_grid and not encoder.keeps_grid:
        raise TaskError(
            f"{dataset.name} is for {task.kind}, and this encoder gives features of the image as a "
            "whole: take --encoder unet."
        )
    target = task.unpack(dataset.y)
    task.check(target)
    return task.fitted(target)
