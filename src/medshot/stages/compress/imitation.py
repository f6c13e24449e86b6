"""Imitation of a teacher's outputs on augmented, unlabeled images."""

import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from medshot.core import DataError, Examples, Predictor, Task, TaskError, any_tensor, eval_mode
from medshot.data.dataset import Dataset
from medshot.data.episodes import own_groups
from medshot.data.split import grouped_folds
from medshot.nn.encoder import Encoder
from medshot.training.progress import Row, Watch, quiet
from medshot.training.trainer import batch_of, descend

MOVED = 8  # images are moved by up to one part in so many of their sides


def views(x: Float[Tensor, "n c *s"], seed: int, *, mixed: bool = True) -> Float[Tensor, "n c *s"]:
    """Each image mirrored or not, all moved by one step; if `mixed`, half of them with another one.

    They are for who knows the answers to any image: a label need not be right for them.
    """
    rng = torch.Generator().manual_seed(seed)
    mirrored = torch.rand(len(x), generator=rng).to(x.device) < 0.5
    x = torch.where(_on(mirrored, x), x.flip(-1), x)
    x = _moved(x, rng)
    if not mixed:
        return x
    other = x[torch.randperm(len(x), generator=rng).to(x.device)]
    share = torch.rand(len(x), generator=rng)
    alone = torch.rand(len(x), generator=rng) < 0.5
    share = _on(share.masked_fill(alone, 1.0).to(x), x)
    return share * x + (1 - share) * other


def _on(values: Tensor, x: Tensor) -> Tensor:
    """One value an image, so that it goes for all of the image."""
    return values.view(-1, *[1] * (x.ndim - 1))


def _moved(x: Tensor, rng: torch.Generator) -> Tensor:
    """Along every axis by one random step; borders are repeated."""
    steps = [side // MOVED for side in x.shape[2:]]
    wide = F.pad(x, [s for step in reversed(steps) for s in (step, step)], mode="replicate")
    for axis, (step, side) in enumerate(zip(steps, x.shape[2:], strict=True), 2):
        start = int(torch.randint(2 * step + 1, (), generator=rng))
        wide = wide.narrow(axis, start, side)
    return wide


Images = Examples | Dataset
FOLDS = 5  # one part in so many of the patients judges and does not teach
BATCH = 32


def imitate(
    student: Predictor,
    teacher: Predictor,
    examples: Examples,
    *,
    task: Task,
    steps: int,
    lr: float,
    temperature: float = 2.0,
    folder: Path | None = None,
    settings: dict[str, Any] | None = None,
    watch: Watch = quiet,
) -> list[Row]:
    """Move the parameters of `student` until it says of images what `teacher` says of them.

    How far two answers are apart is the task's `divergence`. The images are seen mirrored, moved
    and laid over each other, anew in each step, and the teacher answers for the very same ones. The
    weights are kept that do best on a fifth of the patients; with fewer than five patients, the
    last ones.

    Source: Hinton et al. 2015, arXiv:1503.02531 (softened answers); Beyer et al. 2022,
    arXiv:2106.05237 (teacher and student see one view, images are mixed, and it takes long).
    """
    taught_x, held_x = _parts(examples)
    held_y = batched_outputs(teacher, held_x) if len(held_x) else held_x

    def loss(step: int) -> Float[Tensor, ""]:
        x = views(taught_x[batch_of(step, len(taught_x), BATCH)], step)
        return task.divergence(student(x), batched_outputs(teacher, x), temperature)

    def judge() -> float:
        return float(task.divergence(batched_outputs(student, held_x), held_y, temperature))

    shown = hashlib.sha256(examples.x.cpu().numpy().tobytes()).hexdigest()[:16]
    numbers = {"steps": steps, "temperature": temperature, "images": shown}
    student.train()
    found = descend(
        student,
        loss,
        steps=steps,
        lr=lr,
        validate=judge if len(held_x) else None,
        folder=folder,
        settings={**(settings or {}), **numbers},
        watch=watch,
    )
    student.eval()
    return found


def _parts(examples: Examples) -> tuple[Tensor, Tensor]:
    """The images that teach, and those that judge: of other patients, or none."""
    unknown = torch.full((len(examples),), -1)
    groups = unknown if examples.groups is None else examples.groups
    if len(own_groups(groups).unique()) < FOLDS:
        return examples.x, examples.x[:0]
    rest, fold = grouped_folds(torch.zeros_like(groups), groups, FOLDS)[0]
    return examples.x[rest], examples.x[fold]


@torch.no_grad()
def batched_outputs(predictor: Predictor, x: Tensor) -> Tensor:
    """What a predictor says of images, a few at a time."""
    with eval_mode(predictor):
        return predictor.predict_batches(x)


def examples_for(predictor: Predictor, images: Images) -> Examples:
    """The images as `predictor` takes them: at least two, all finite.

    Raises:
        DataError: there are too few, or NaN among them.
        TaskError: the predictor is transductive.
    """
    if predictor.transductive:
        raise TaskError(
            "This predictor is transductive: what it says of an image depends on the others beside "
            "it, so there is no answer to imitate. Adapt with norm='group' and a learner that "
            "`medshot learners` does not call transductive."
        )
    found = images if isinstance(images, Examples) else in_form_of(predictor, images)
    if len(found.x) < 2:
        raise DataError(
            f"There is {len(found.x)} image to learn from. Give two at least; fifty and more are "
            "better. They need no labels that are right."
        )
    if not torch.isfinite(found.x).all():
        raise DataError(
            "The images hold values that are not finite (NaN or infinity). "
            "`medshot data check DIR` names the files."
        )
    return found.to(any_tensor(predictor))


def in_form_of(predictor: Predictor, images: Dataset) -> Examples:
    """The images of a data set in the form that the predictor's encoder takes."""
    encoders = (m for m in predictor.modules() if isinstance(m, Encoder))
    examples, _ = images.support(next(encoders, nn.Module()))
    return examples
