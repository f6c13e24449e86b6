"""Data sets and learners that train in a second, for tests here and in other processes."""

import os
import signal
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import medshot
from medshot.core.episode import Episode
from medshot.core.registry import part
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing
from medshot.learners.metric.prototypical import Prototypical
from medshot.nn.encoder import Encoder, flat

SIZE = 16


def blobs(
    classes: int = 10, each: int = 24, *, name: str = "blobs", seed: int = 0, patients: bool = True
) -> Dataset:
    """A pattern a class under noise and random brightness; two images a patient."""
    rng = torch.Generator().manual_seed(seed)
    pattern = torch.rand(classes, 1, 4, 4, generator=rng)
    pattern = nn.functional.interpolate(pattern, (SIZE, SIZE), mode="bilinear")
    y = torch.arange(classes).repeat_interleave(each)
    light = 0.6 * torch.rand(len(y), 1, 1, 1, generator=rng) - 0.3
    noise = 0.2 * torch.randn(len(y), 1, SIZE, SIZE, generator=rng)
    x = (0.7 * pattern[y] + 0.15 + light + noise).clamp(0, 1)
    groups = torch.arange(len(y)) // 2 if patients else torch.full((len(y),), -1)
    return Dataset(
        name=name,
        x=(255 * x).byte(),
        y=y,
        labels=tuple(f"class {i}" for i in range(classes)),
        groups=groups,
        preprocessing=ImagePreprocessing(channels=1, size=SIZE),
        hash=f"{name}-{classes}-{each}-{seed}",
    )


def conv4(**options: Any) -> Encoder:
    return medshot.encoder("conv4", **{"channels": 1, "size": SIZE, "width": 8, **options})


@part("encoder", "toy-dropout")
class Dropping(Encoder):
    """A layer behind dropout: its training needs the random state."""

    def __init__(self) -> None:
        super().__init__(1, SIZE, "unit")
        self.n_features = 8
        self.layers = nn.Sequential(nn.Dropout(0.5), nn.Linear(SIZE * SIZE, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(flat(self.scaled(x)))


@part("learner", "toy-diverging")
class Diverging(Prototypical):
    """Its loss is NaN from its third step on."""

    steps = 0

    def meta_loss(self, episode: Episode) -> Tensor:
        self.steps += 1
        return super().meta_loss(episode) * (float("nan") if self.steps >= 3 else 1.0)


def build(kind: str) -> medshot.Learner:
    """A learner by the name of a case, with the same weights every time."""
    torch.manual_seed(7)
    if kind == "maml":
        return medshot.build("maml", encoder=conv4(), steps=2)
    encoder = (
        Dropping()
        if kind == "dropout"
        else conv4(norm="batch" if kind.startswith("batch") else "group")
    )
    return medshot.build("prototypical", encoder=encoder)


def options(kind: str) -> dict[str, Any]:
    """How a case is trained. In `patience`, the rate is so high that it stops early."""
    extra = {
        "batch, channels last": {"channels_last": True, "bf16": True},
        "patience": {"patience": 2, "lr": 0.5, "steps": 40, "val_every": 3},
    }
    small = {"way": 3, "shot": 1, "query": 2, "steps": 16, "val_every": 5, "val_episodes": 3}
    return small | {"meta_batch": 2, "halve_every": 10, "lr": 1e-2} | extra.get(kind, {})


def train_case(kind: str, out: Path, die: str | None = None, at: int = 0) -> None:
    """Train a case, writing a checkpoint at each step; `die` says where to fall dead, and when."""
    torch.set_num_threads(1)
    if die is not None:
        _fall_dead(die, at)
    data = blobs()
    medshot.train(build(kind), data, out=out, checkpoint_seconds=0.0, device="cpu", **options(kind))


def _fall_dead(where: str, at: int) -> None:
    """The `at`-th call of a method of `Path` writes half and kills this process."""
    original, calls = getattr(Path, where), 0

    def fatal(self: Path, given: Any, *more: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            if isinstance(given, bytes | str):
                original(self, given[: len(given) // 2], *more, **named)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, given, *more, **named)

    setattr(Path, where, fatal)


def lose_a_process(at: int) -> None:
    """Let this process fall dead before its `at`-th step."""
    original, calls = medshot.Learner.meta_loss, 0

    def fatal(self: medshot.Learner, episode: Episode) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, episode)

    medshot.Learner.meta_loss = fatal  # type: ignore[method-assign]
