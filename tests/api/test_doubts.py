"""Warnings of an adaptation to masks: nothing is marked, or place alone does as well."""

import numpy as np
import pytest
import torch
from torch import Tensor

from medshot.api.adapt import adapted
from medshot.api.doubts import report_warnings
from medshot.core import Card, Predictor
from medshot.data.arrays import dataset as of_arrays
from medshot.evaluation.report import Difference, Estimate
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.presenters import kind_called

CONTROL = "mean-mask"


class Nothing(Predictor):
    """Background everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return torch.stack([torch.ones_like(x[:, 0]), torch.zeros_like(x[:, 0])], 1)


def test_a_predictor_that_marks_nothing_of_its_own_support_is_warned_of() -> None:
    dataset = masks()
    learner = build("linear-probe", encoder=encoder("filters", size=32))
    good = learner.adapt(dataset)
    card: Card = good.known_card()
    kind = kind_called("segmentation")
    assert kind.doubts(dataset, good) == ()
    (said,) = kind.doubts(dataset, Nothing().with_card(card))
    assert "does not mark 'class 1'" in said


@pytest.mark.parametrize(
    ("mean", "half", "warned"), [(-0.1, 0.05, True), (0.1, 0.2, True), (0.3, 0.1, False)]
)
def test_what_is_not_ahead_of_the_mean_mask_is_warned_of(
    mean: float, half: float, warned: bool
) -> None:
    estimate = Estimate(mean, mean - half, mean + half, 8)
    measured = {"differences": (Difference("Dice", "mean-mask on filters", estimate),)}
    found = report_warnings(measured, "stacked-masks", CONTROL)
    assert [("not ahead of mean-mask" in line) for line in found] == [True] * warned


def test_a_chosen_mean_mask_is_warned_of() -> None:
    (said,) = report_warnings({}, "mean-mask on filters", CONTROL)
    assert "does not look at the image" in said


def test_what_scored_higher_is_named_with_its_command() -> None:
    estimate = Estimate(-0.2, -0.3, -0.1, 8)
    measured = {"differences": (Difference("Dice", "forest on filters", estimate),)}
    how = {"forest on filters": "medshot adapt a --learner forest --encoder filters --out NEW"}
    (said,) = report_warnings(measured, "stacked-masks", CONTROL, how)
    assert said.endswith(how["forest on filters"])


def test_noise_under_masks_at_one_place_is_not_ahead_of_the_place() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (6, 32, 32, 3), dtype=np.uint8)
    y = np.zeros((6, 32, 32), np.uint8)
    y[:, 8:20, 8:20] = 1
    learner = build("linear-probe", encoder=encoder("filters", size=32))
    _, report = adapted(learner, of_arrays(x, y, task="segmentation"), "")
    assert any("not ahead of mean-mask" in line for line in report.warnings)


def masks():
    """Bright squares at places of their own."""
    rng = np.random.default_rng(0)
    y = np.zeros((4, 32, 32), np.uint8)
    for i in range(4):
        y[i, 4 * i : 4 * i + 10, 20 - 4 * i : 30 - 4 * i] = 1
    x = (rng.integers(0, 60, (4, 32, 32, 3)) + 150 * y[..., None]).astype(np.uint8)
    return of_arrays(x, y, task="segmentation")
