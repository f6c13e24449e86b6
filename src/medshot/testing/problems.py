"""Toy few-shot problems and encoders for tests, one problem for each task.

In each, only part of an image is informative, which can be meta-learned; the rest is noise.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from medshot.core import TASKS, Episode, Examples, Task, unknown
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.conv4 import Conv4
from medshot.nn.encoders.dncnn import DnCNN
from medshot.nn.encoders.unet import UNet

SIZE = 16
PLACES = 16  # possible positions of a square in the detection problem


def episode(task: Task, seed: int = 0, *, shots: int = 5, queries: int = 5) -> Episode:
    """Toy problem for `task`; a new task adds its own to the table."""
    if task.kind not in TOYS:
        raise unknown(task.kind, TOYS, kind="task with a toy problem")
    return TOYS[task.kind](task, torch.Generator().manual_seed(seed), shots, queries)


def _top_rows(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """A class is a random top row; all other rows are noise, in every episode.

    Nearest mean on pixels does badly: the informative row can be meta-learned.
    """
    k, n = task.n_outputs, shots + queries
    rows = torch.zeros(k, 1, SIZE, SIZE)
    rows[:, :, 0] = torch.randn(k, 1, SIZE, generator=rng)
    y = torch.arange(k).repeat(n)
    x = rows[y] + torch.randn(k * n, 1, SIZE, SIZE, generator=rng)
    cut = shots * k
    return Episode(task, Examples(x[:cut], y[:cut]), Examples(x[cut:], y[cut:]))


def _patches(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """A class is a random brightness of the first channel, in patches of 4 x 4 pixels.

    Seven other channels are noise, as is part of the first. One pixel of each class is labeled on
    a support image.
    """
    k, n, patches = task.n_outputs, shots + queries, (SIZE // 4) ** 2
    values = 3 * torch.randn(k, generator=rng)
    order = torch.stack([torch.randperm(patches, generator=rng) for _ in range(n)])
    y = (order % k).view(n, 1, SIZE // 4, SIZE // 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    x = 3 * torch.randn(n, 8, SIZE, SIZE, generator=rng)
    x[:, :1] = values[y] + x[:, :1] / 6
    few = torch.full((n, SIZE, SIZE), -1)
    for c in range(k):
        corner = (order == c).int().argmax(1)  # the first patch of that class
        row, column = corner // (SIZE // 4) * 4, corner % (SIZE // 4) * 4
        few[torch.arange(n), row, column] = c
    return Episode(task, Examples(x[:shots], few[:shots]), Examples(x[shots:], y[shots:, 0]))


def _waves(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """The first k channels contain the sum of the others, each with its own weight."""
    k, n = task.n_outputs, shots + queries
    wanted = torch.rand(n, k, 1, 1, generator=rng) * torch.rand(n, k, SIZE, SIZE, generator=rng)
    other = torch.randn(n, 8 - k, SIZE, SIZE, generator=rng) / 4
    strengths = torch.randn(1, k, 1, 1, generator=rng)
    x = torch.cat([wanted + strengths * other.sum(1, keepdim=True), other], 1)
    first, second = Examples(x[:shots], wanted[:shots]), Examples(x[shots:], wanted[shots:])
    return Episode(task, first, second)


def _directions(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """A target is the coefficient of a random direction in the top row; all else is noise."""
    k, n = task.n_outputs, shots + queries
    y = TARGETS[task.kind](k, n, rng)
    directions = torch.randn(k, 1, SIZE, generator=rng)
    x = torch.randn(len(y), 1, SIZE, SIZE, generator=rng)
    x[:, :, 0] = x[:, :, 0] / 4 + torch.einsum("nk,kcw->ncw", task.encode(y, like=x), directions)
    cut = len(y) * shots // n
    return Episode(task, Examples(x[:cut], y[:cut]), Examples(x[cut:], y[cut:]))


def _numbers(k: int, n: int, rng: torch.Generator) -> Tensor:
    return torch.randn(k * n, k, generator=rng, dtype=torch.float64)


def _grades(k: int, n: int, rng: torch.Generator) -> Tensor:
    del rng
    return torch.arange(k + 1).repeat(n)


def _findings(k: int, n: int, rng: torch.Generator) -> Tensor:
    """All labels on one image, none on the next, then random."""
    y = torch.randint(2, (n, 2 * k, k), generator=rng)
    y[:, 0], y[:, 1] = 1, 0
    return y.flatten(0, 1)


def _squares(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """Each image has a square of every class, at different positions.

    A class is a random brightness of the first channel, far from 0, and three times that in the
    center, so that a single pixel identifies it. Seven other channels are noise, as is part of the
    first.
    """
    k, n, side = task.n_outputs - 2, shots + queries, SIZE // 4
    brightness = 2 + 2 * torch.randperm(k, generator=rng) / k
    x = 1.5 * torch.randn(n, 8, SIZE, SIZE, generator=rng)
    x[:, 0] /= 3
    y = torch.empty(n, k, 5)
    for i in range(n):
        place = torch.randperm(PLACES, generator=rng)[:k]
        for c, (row, column) in enumerate(zip(place // 4 * side, place % 4 * side, strict=True)):
            x[i, 0, row : row + side, column : column + side] += brightness[c]
            x[i, 0, row + side // 2, column + side // 2] += 2 * brightness[c]
            y[i, c] = torch.tensor([column, row, column + side, row + side, c * SIZE]) / SIZE
    return Episode(task, Examples(x[:shots], y[:shots]), Examples(x[shots:], y[shots:]))


TARGETS = {"regression": _numbers, "ordinal": _grades, "multi-label": _findings}
TOYS = {
    "classification": _top_rows,
    "detection": _squares,
    "enhancement": _waves,
    "points": _squares,
    "segmentation": _patches,
    **dict.fromkeys(TARGETS, _directions),
}


FURTHER_OUTPUTS = {"detection": 2, "points": 2}  # in addition to the classes: width and height


def task_of(kind: str, classes: int = 3) -> Task:
    """The task `kind` with `classes` classes."""
    return TASKS.find(kind)(classes + FURTHER_OUTPUTS.get(kind, 0))


def encoder(task: Task) -> Encoder:
    """A small encoder for `task`."""
    small: dict[str, Any] = {"size": SIZE, "width": 8, "depth": 2}
    if task.from_image:
        return DnCNN(channels=8, **small).eval()
    return UNet(channels=8, **small).eval() if task.on_grid else conv4()


def without(examples: Examples, label: int) -> Examples:
    """Remove a class: drop its images, or unlabel its pixels."""
    if examples.y.ndim == 1:
        return examples[examples.y != label]
    if examples.y.is_floating_point():
        gone = examples.y[..., 4:] == label
        return replace(examples, y=examples.y.where(~gone, -1))
    return replace(examples, y=examples.y.masked_fill(examples.y == label, -1))


def conv4(**options: Any) -> Conv4:
    """The smallest Conv4 with group normalization."""
    return Conv4(**{"channels": 1, "size": SIZE, "width": 8, **options}).eval()


def has_classes(task: Task) -> bool:
    """Whether a target is a class number, of an image or a pixel."""
    return not task.from_image and task.kind not in TARGETS
