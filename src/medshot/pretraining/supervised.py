"""Supervised pretraining: one encoder, and a linear head for each of many data sets."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core.errors import TaskError
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.nn.encoder import Encoder
from medshot.nn.heads import on_grid, sites
from medshot.pretraining.augment import check_strength, color_jitter, moved
from medshot.pretraining.objective import Objective, objective


@objective("supervise")
class Supervise(Objective):
    """The loss of each data set's own task on its own linear head.

    Source: Caruana 1997, doi:10.1023/A:1007379606734 (multitask learning); Tian et al. 2020,
    arXiv:2003.11539, for an encoder that is taught by plain labels and judged on new classes.

    The sets may have other labels, and other kinds of targets: masks and boxes need an encoder
    that keeps the grid, whose mean is taken for whole images. Images with targets on their grid are
    changed in light only, because a target would have to be moved with them.

    Raises:
        TaskError: targets on a grid, and an encoder of whole images; or images as targets.
        DataError: a set whose targets cannot teach its task (one class only, say).
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
        """The loss of task number `which`."""
        task = self.tasks[which]
        if not task.on_grid:
            x = moved(x, rng, self.augment)
        z = self.encoder(color_jitter(x, rng, self.augment))
        if self.encoder.keeps_grid and not task.on_grid:
            z = z.flatten(2).mean(2)
        return task.loss(on_grid(self.heads[which](sites(z)), z), y)


def _task(dataset: Dataset, encoder: Encoder) -> Task:
    """The task of `dataset`, if it can be taught by a head on such an encoder."""
    task = dataset.task
    if task.from_image:
        raise TaskError(f"{dataset.name}: images are learned by --objective reconstruct.")
    if task.on_grid and not encoder.keeps_grid:
        raise TaskError(
            f"{dataset.name} is for {task.kind}, and this encoder gives features of the image as a "
            "whole: take --encoder unet."
        )
    target = task.unpack(dataset.y)
    task.check(target)
    return task.fitted(target)
