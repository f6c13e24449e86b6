"""Few-shot problems and encoders that take milliseconds."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.predictor import Card, Predictor
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.data.preprocess import ImagePreprocessing
from medshot.nn import Conv4, Encoder, UNet
from medshot.nn.dncnn import DnCNN
from medshot.tasks import Classification

SIZE = 16


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


TOYS = {"classification": _top_rows, "enhancement": _waves, "segmentation": _patches}


def encoder(task: Task) -> Encoder:
    """A small network for tasks of that kind."""
    small = {"size": SIZE, "width": 8, "depth": 2}
    if task.from_image:
        return DnCNN(channels=8, **small).eval()
    return conv4() if task.kind == "classification" else UNet(channels=8, **small).eval()


def matrix(task: Task) -> nn.Module:
    """An encoder for tasks of that kind that trains fast: one matrix."""
    if task.from_image:
        return ShownProjection(task.n_outputs)
    return Projection() if task.kind == "classification" else SiteProjection()


def without(examples: Examples, label: int) -> Examples:
    """All but what is of one class: those images, or those sites, say nothing any more."""
    if examples.y.ndim == 1:
        return examples[examples.y != label]
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


def chance(task: Task) -> float:
    """The accuracy of who guesses; of images, of who leaves them as they are."""
    return 0.0 if task.from_image else 1 / task.n_outputs


def accuracy(predictor: Predictor, query: Examples) -> float:
    """The part of `query` that is named rightly; of images, the part of the error that is gone."""
    if query.y.is_floating_point():
        given = query.x[:, : query.y.shape[1]]
        left, error = ((found - query.y).abs().mean() for found in (predictor(query.x), given))
        return 1 - (left / error).item()
    return (predictor(query.x).argmax(1) == query.y).double().mean().item()
