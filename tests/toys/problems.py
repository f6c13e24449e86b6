"""Predictors that one can attack, one for each kind of task, and what an attack must keep to."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import toys
from medshot.core.episode import Examples
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.learners.registry import build
from medshot.stages.robustness.attacks import losses_of
from medshot.tasks import Classification, Regression, Segmentation

TASKS = [Classification(3), Segmentation(3), Regression(2)]
LEARNERS = {"classification": "prototypical", "segmentation": "prototypical"}
LEARNERS |= {
    "detection": "nearest-centroid",
    "points": "nearest-centroid",
    "enhancement": "residual-ridge",
}  # others: ridge


def learned(task: Task, seed: int = 0) -> tuple[Predictor, Examples]:
    """A predictor, and images in [0, 1] that it has learned from."""
    torch.manual_seed(seed)
    episode = toys.episode(task, seed)
    low, high = episode.support.x.min(), episode.support.x.max()
    shown = Examples((episode.support.x - low) / (high - low), episode.support.y)
    task = task.fitted(shown.y)
    name = LEARNERS.get(task.kind, "ridge")
    return build(name, encoder=toys.encoder(task)).adapt(shown, task).freeze(), shown


def loss(predictor: Predictor, task: Task, x: Tensor, y: Tensor) -> float:
    """The mean over images."""
    with torch.no_grad():
        return losses_of(task, predictor(x), y).mean().item()


def art(monkeypatch: pytest.MonkeyPatch, place: Path, predictor: Predictor, classes: int):
    """The predictor as a classifier of the Adversarial Robustness Toolbox."""
    monkeypatch.setenv("ART_DATA_PATH", str(place))  # else it makes a folder in one's home
    from art.estimators.classification import PyTorchClassifier  # noqa: PLC0415  (seconds)

    return PyTorchClassifier(
        predictor,
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, toys.SIZE, toys.SIZE),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
