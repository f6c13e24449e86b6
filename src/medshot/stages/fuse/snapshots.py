"""Snapshot ensembles: several predictors from one run with a cyclic learning rate."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.core.predictor import Predictor, settled, trainable
from medshot.data.dataset import Dataset
from medshot.stages.fuse.compatibility import fused_card, link_of
from medshot.stages.fuse.fuse import mean_of
from medshot.training.progress import Watch, quiet
from medshot.training.trainer import batch_of, descend


def snapshots(
    predictor: Predictor,
    images: Dataset | Examples,
    *,
    cycles: int = 4,
    steps: int = 100,
    lr: float = 1e-3,
    batch: int = 16,
    folder: Path | None = None,
    watch: Watch = quiet,
) -> list[Predictor]:
    """Fine-tune `predictor` on `images` for `cycles` times `steps` steps; a predictor a cycle.

    Source: Huang et al. 2017, arXiv:1704.00109: cosine annealing of the learning rate from `lr`
    to 0 in each cycle. Where we differ: Adam in place of SGD, and training starts from an adapted
    predictor. All weights are trained, including the head. With `folder`, an interrupted run is
    resumed.

    Raises:
        ConfigError: an invalid number.
        TrainingError: the loss is no longer finite: a smaller `lr`.
    """
    if cycles < 2 or steps < 1 or batch < 1:
        raise ConfigError(
            f"cycles={cycles} must be at least 2, steps={steps} and batch={batch} at least 1."
        )
    task, changed = predictor.known_card().task, trainable(predictor)
    task.check(images.examples().y if isinstance(images, Dataset) else images.y)
    found = []
    for cycle in range(cycles):

        def loss(step: int, first: int = cycle * steps) -> Tensor:
            some = batch_of(first + step, len(images), batch)
            shown = images.examples(some) if isinstance(images, Dataset) else images[some]
            return task.loss(changed(shown.x), shown.y)

        descend(
            changed,
            loss,
            steps=steps,
            lr=lr,
            rate=lambda step: lr / 2 * (1 + math.cos(math.pi * step / steps)),
            val_every=steps,
            folder=folder / f"cycle-{cycle + 1}" if folder else None,
            settings={"cycles": cycles, "steps": steps, "batch": batch},
            watch=watch,
        )
        with torch.no_grad():
            found.append(settled(changed))
    return found


def fused_snapshots(predictor: Predictor, images: Dataset | Examples, **options: Any) -> Predictor:
    """The ensemble mean of `snapshots`."""
    link_of(predictor.known_card())  # raises before the work, not after
    found = snapshots(predictor, images, **options)
    cards = [predictor.known_card()] * len(found)
    kept = {name: v for name, v in options.items() if name in ("cycles", "steps", "lr", "batch")}
    return mean_of(found, cards).with_card(fused_card(cards[:1], "snapshots", **kept))
