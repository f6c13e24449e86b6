"""Few-shot problems and encoders that take milliseconds."""

import torch
from torch import Tensor, nn

from medshot.core.episode import Examples
from medshot.core.predictor import Predictor
from medshot.core.task import Card, Task
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import Classification, Detection
from medshot.testing.problems import PLACES as PLACES
from medshot.testing.problems import SIZE as SIZE
from medshot.testing.problems import conv4 as conv4
from medshot.testing.problems import encoder as encoder
from medshot.testing.problems import episode as episode
from medshot.testing.problems import has_classes as has_classes
from medshot.testing.problems import task_of as task_of
from medshot.testing.problems import without as without

GUESSED = 0.09  # AP50 of who claims all of them for every class, in random order, on 20 images


def matrix(task: Task) -> nn.Module:
    """An encoder for tasks of that kind that trains fast: one matrix."""
    if task.from_image:
        return ShownProjection(task.n_outputs)
    return SiteProjection() if task.on_grid else Projection()


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
        evidence = task.metric_inputs(
            task.decode(predictor(query.x)).detach().numpy(), query.y.numpy()
        )
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
    return task.metrics[task.leading](*task.metric_inputs(decoded, query.y.numpy()))


def chance(task: Task) -> float | None:
    """What `score` is for somebody who guesses, or leaves images as they are."""
    if task.from_image:
        return 0.0
    if task.at_centers:
        return GUESSED
    return 1 / task.n_outputs if has_classes(task) else task.chance(task.leading)
