"""Predictors of the same question, good and bad, and images that none has learned from."""

from dataclasses import replace

import torch

import toys
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing
from medshot.learners.registry import build
from medshot.nn import UNet
from medshot.tasks import Segmentation


def bars(shots: int, seed: int, name: str = "bars", noise: int = 200) -> Dataset:
    """Three classes of pictures with a bright bar in much noise; two images a patient."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.arange(3).repeat_interleave(shots)
    x = torch.randint(0, noise, (len(y), 1, 16, 16), generator=rng)
    for i, c in enumerate(y.tolist()):
        x[i, :, :, 5 * c : 5 * c + 3] += 55
    labels, form = ("a", "b", "c"), ImagePreprocessing(1, 16)
    groups = torch.arange(len(y)) // 2
    return Dataset(name, x.byte(), y, labels, groups, form, f"{name} {seed} {shots}")


def masked(n: int, seed: int) -> Dataset:
    """Bright squares in noise, and where they are."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 130, (n, 1, 16, 16), generator=rng)
    y = torch.zeros(n, 16, 16, dtype=torch.uint8)
    for i in range(n):
        at = int(torch.randint(0, 8, (), generator=rng))
        x[i, :, at : at + 8, at : at + 8] += 100
        y[i, at : at + 8, at : at + 8] = 1
    groups = torch.full((n,), -1)
    form = ImagePreprocessing(1, 16)
    labels, said = ("background", "square"), f"masks {seed}"
    return Dataset("masks", x.byte(), y, labels, groups, form, said, task=Segmentation(2))


def members(support: Dataset | None = None) -> list[Predictor]:
    """Two that know something and one that learned from labels that are wrong."""
    torch.manual_seed(0)
    data = support or bars(4, seed=0)
    pixels = build("linear-probe", encoder=toys.conv4(read="flatten"))
    centroid = build("nearest-centroid", encoder=toys.conv4())
    wrong = replace(data, y=(data.y + 1) % 3, hash="mistaken")
    return [pixels.adapt(data), centroid.adapt(data), centroid.adapt(wrong)]


def segmenters() -> list[Predictor]:
    """Two that find squares."""
    torch.manual_seed(0)
    encoders = [UNet(channels=1, size=16, width=8, depth=2).eval() for _ in range(2)]
    return [build("prototypical", encoder=e).adapt(masked(4, seed=0)) for e in encoders]


def loss(predictor: Predictor, data: Dataset) -> float:
    """The task's loss on all images."""
    shown = data.examples()
    return float(predictor.known_card().task.loss(predictor(shown.x), shown.y))
