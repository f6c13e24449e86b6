"""Few-shot problems and encoders that take milliseconds."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.predictor import Card, Predictor
from medshot.core.task import TASKS, Task
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing
from medshot.nn import Conv4, Encoder, UNet
from medshot.nn.encoders.dncnn import DnCNN
from medshot.tasks import Classification, Detection

SIZE = 16
PLACES = 16  # where a square of the toy of boxes may lie
GUESSED = 0.09  # AP50 of who claims all of them for every class, in random order, on 20 images


def episode(task: Task, seed: int = 0, *, shots: int = 5, queries: int = 5) -> Episode:
    """A problem of the kind of `task`; a new kind of task adds its own to the table."""
    return TOYS[task.kind](task, torch.Generator().manual_seed(seed), shots, queries)


def _top_rows(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """A class is a random top row; every other row is noise, in every episode.

    The nearest mean alone does badly: what there is to meta-learn is where to look.
    """
    k, n = task.n_outputs, shots + queries
    rows = torch.zeros(k, 1, SIZE, SIZE)
    rows[:, :, 0] = torch.randn(k, 1, SIZE, generator=rng)
    y = torch.arange(k).repeat(n)
    x = rows[y] + torch.randn(k * n, 1, SIZE, SIZE, generator=rng)
    cut = shots * k
    return Episode(task, Examples(x[:cut], y[:cut]), Examples(x[cut:], y[cut:]))


def _patches(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """A class is a random brightness of the first channel; seven others are noise, as is a part
    of the first. Classes are in patches of 4 x 4 pixels; of each, one pixel a support image is
    labelled.

    What there is to meta-learn is, again, where to look.
    """
    k, n, patches = task.n_outputs, shots + queries, (SIZE // 4) ** 2
    values = 3 * torch.randn(k, generator=rng)
    order = torch.stack([torch.randperm(patches, generator=rng) for _ in range(n)])
    y = (order % k).view(n, 1, SIZE // 4, SIZE // 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    x = 3 * torch.randn(n, 8, SIZE, SIZE, generator=rng)
    x[:, :1] = values[y] + x[:, :1] / 6
    few = torch.full((n, SIZE, SIZE), -1)
    for c in range(k):
        corner = (order == c).int().argmax(1)  # the patch of that class that is drawn first
        row, column = corner // (SIZE // 4) * 4, corner % (SIZE // 4) * 4
        few[torch.arange(n), row, column] = c
    return Episode(task, Examples(x[:shots], few[:shots]), Examples(x[shots:], y[shots:, 0]))


def _waves(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """The k first channels carry the sum of the others, each in a strength of its own.

    What there is to meta-learn is, again, where to look.
    """
    k, n = task.n_outputs, shots + queries
    wanted = torch.rand(n, k, 1, 1, generator=rng) * torch.rand(n, k, SIZE, SIZE, generator=rng)
    other = torch.randn(n, 8 - k, SIZE, SIZE, generator=rng) / 4
    strengths = torch.randn(1, k, 1, 1, generator=rng)
    x = torch.cat([wanted + strengths * other.sum(1, keepdim=True), other], 1)
    first, second = Examples(x[:shots], wanted[:shots]), Examples(x[shots:], wanted[shots:])
    return Episode(task, first, second)


def _directions(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """Along the top row each output has a random direction: how far, is what its target says.

    All else is noise. What there is to meta-learn is, again, where to look.
    """
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
    """All labels on one image and none on the next, then as chance has it."""
    y = torch.randint(2, (n, 2 * k, k), generator=rng)
    y[:, 0], y[:, 1] = 1, 0
    return y.flatten(0, 1)


def _squares(task: Task, rng: torch.Generator, shots: int, queries: int) -> Episode:
    """On each image, a square of every class, each on a place of its own.

    A class is a random brightness of the first channel, far from 0, and three times that in the
    middle: who sees one site alone can know it. Seven other channels are noise, as is a part of
    the first. What there is to meta-learn is, again, where to look.
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
    "segmentation": _patches,
    **dict.fromkeys(TARGETS, _directions),
}


def task_of(kind: str, classes: int = 3) -> Task:
    """A task of that kind with so many classes."""
    return TASKS[kind](classes + (2 if kind == "detection" else 0))


def encoder(task: Task) -> Encoder:
    """A small network for tasks of that kind."""
    small = {"size": SIZE, "width": 8, "depth": 2}
    if task.from_image:
        return DnCNN(channels=8, **small).eval()
    return UNet(channels=8, **small).eval() if task.on_grid else conv4()


def matrix(task: Task) -> nn.Module:
    """An encoder for tasks of that kind that trains fast: one matrix."""
    if task.from_image:
        return ShownProjection(task.n_outputs)
    return SiteProjection() if task.on_grid else Projection()


def without(examples: Examples, label: int) -> Examples:
    """All but what is of one class: those images, or those sites, say nothing any more."""
    if examples.y.ndim == 1:
        return examples[examples.y != label]
    if examples.y.is_floating_point():
        gone = examples.y[..., 4:] == label
        return replace(examples, y=examples.y.where(~gone, -1))
    return replace(examples, y=examples.y.masked_fill(examples.y == label, -1))


class Projection(nn.Sequential):
    """Pixels, flattened, times a matrix."""

    def __init__(self, inputs: int = SIZE * SIZE, outputs: int = 32) -> None:
        super().__init__(nn.Flatten(), nn.Linear(inputs, outputs))
        self.n_features = outputs


class SiteProjection(nn.Conv2d):
    """The channels of each pixel, times a matrix: the grid is kept."""

    def __init__(self, inputs: int = 8, outputs: int = 16) -> None:
        super().__init__(inputs, outputs, 1)
        self.n_features = outputs


class ShownProjection(nn.Module):
    """The first channels of each pixel, and after them small sums of all: the grid is kept."""

    def __init__(self, shown: int, inputs: int = 8, outputs: int = 2) -> None:
        super().__init__()
        self.shown, self.sums = shown, nn.Conv2d(inputs, outputs, 1, bias=False)
        nn.init.normal_(self.sums.weight, std=0.05)
        self.n_features = shown + outputs

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, : self.shown], self.sums(8 * x)], 1)


class Smooth(nn.Sequential):
    """One convolution, group normalisation and tanh: no kink for a finite difference to cross."""

    def __init__(self, size: int = 2, outputs: int = 3) -> None:
        layers = nn.Conv2d(1, 2, 3, padding=1), nn.GroupNorm(2, 2), nn.Tanh(), nn.Flatten()
        super().__init__(*layers, nn.Linear(2 * size * size, outputs))
        self.n_features = outputs


def conv4(**options: object) -> Conv4:
    """The smallest Conv4 that still has groups to normalise."""
    return Conv4(**{"channels": 1, "size": SIZE, "width": 8, **options}).eval()


def card(k: int = 2, *, channels: int = 1, size: int = SIZE) -> Card:
    """What a predictor needs to be saved."""
    labels = tuple(f"class {i}" for i in range(k))
    return Card(Classification(k), labels, ImagePreprocessing(channels, size), {"name": "toy"})


def dataset(k: int = 3, shots: int = 4, *, channels: int = 1, size: int = SIZE) -> Dataset:
    """Random 8-bit images, as a loaded folder holds them."""
    y = torch.arange(k).repeat(shots)
    x = torch.randint(0, 256, (len(y), channels, size, size), dtype=torch.uint8)
    form = ImagePreprocessing(channels, size)
    labels = tuple(f"class {i}" for i in range(k))
    return Dataset("toy", x, y, labels, torch.full_like(y, -1), form, "no hash")


def images(n: int = 6, *, channels: int = 1, size: int = SIZE) -> Tensor:
    """Random images in [0, 1]."""
    return torch.rand(n, channels, size, size)


def accuracy(predictor: Predictor, query: Examples) -> float:
    """The part of `query` that is named rightly; of boxes, the leading metric."""
    if query.y.is_floating_point():
        task = Detection(query.y[..., 4].max().int().item() + 3)
        evidence = task.evidence(task.decode(predictor(query.x)).detach().numpy(), query.y.numpy())
        return task.metrics[task.leading](*evidence)
    return (predictor(query.x).argmax(1) == query.y).double().mean().item()


def score(task: Task, predictor: Predictor, query: Examples) -> float:
    """The accuracy where there are classes, of images the part of the error that is gone, else
    the leading metric."""
    if has_classes(task):
        return accuracy(predictor, query)
    if task.from_image:
        given = query.x[:, : task.n_outputs]
        left, error = ((found - query.y).abs().mean() for found in (predictor(query.x), given))
        return 1 - (left / error).item()
    decoded = task.decode(predictor(query.x)).detach().double().numpy()
    return task.metrics[task.leading](*task.evidence(decoded, query.y.numpy()))


def chance(task: Task) -> float | None:
    """What `score` is for somebody who guesses, or leaves images as they are."""
    if task.from_image:
        return 0.0
    if task.kind == "detection":
        return GUESSED
    return 1 / task.n_outputs if has_classes(task) else task.chance(task.leading)


def has_classes(task: Task) -> bool:
    """Whether a target is a class number, of an image or of a site."""
    return not task.from_image and task.kind not in TARGETS
