"""Masked gradients are noticed; an honest model is not accused."""

import pytest
import torch

import toys
from medshot.core.predictor import Predictor
from medshot.data.dataset import Dataset
from medshot.stages.robustness.evaluate import robustness, signs, verdict
from medshot.stages.robustness.threat_model import ThreatModel

GREY = 0.5


class Brightness(Predictor):
    """Dark or bright, by the mean; `levels` rounds what it sees, and so hides the slope."""

    def __init__(self, levels: int | None = None):
        super().__init__()
        self.levels = levels
        self.register_buffer("gain", torch.tensor(40.0))

    def forward(self, x):
        if self.levels:
            seen = (x * self.levels).round() / self.levels
            x = seen + 1e-6 * (0.5 - x)  # the slope that is left points the wrong way
        logit = self.gain * (x.flatten(1).mean(1) - GREY)
        return torch.stack([-logit, logit], 1)


def _images(n: int = 40) -> Dataset:
    """Half of them a little darker than the middle, half a little brighter."""
    y = torch.arange(2).repeat(n // 2)
    offset = 6 * (2 * y - 1)[:, None, None, None]
    noise = torch.randint(-3, 4, (n, 1, toys.SIZE, toys.SIZE))
    plain = toys.dataset(k=2, shots=n // 2)
    x = (127 + offset + noise).byte()
    return Dataset("grey", x, y, plain.labels, plain.groups, plain.preprocessing, "no hash")


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr("medshot.evaluation.cross_validation.DRAWS", 50)


def _measured(predictor, n=40, **options):
    budgets = [ThreatModel(4 / 255), ThreatModel(12 / 255)]
    model = predictor.with_card(toys.card(2))
    return robustness(model, _images(n), budgets, steps=3, queries=30, **options)


def test_an_honest_model_shows_no_sign():
    found = _measured(Brightness())
    assert found.clean.interval("accuracy").mean == 1
    assert found.attacked[-2].answers.interval("accuracy").mean == 0  # PGD does succeed
    assert signs(found) == []
    assert verdict(found).startswith("No sign")


def test_a_model_that_hides_its_slope_is_found_out_by_the_black_box_attack():
    found = _measured(Brightness(levels=16), n=160)  # enough for the difference to be sure
    many, square = (row.answers.interval("accuracy").mean for row in found.attacked[-2:])
    assert square < many
    assert any("more than square-30 (12/255)" in sign for sign in signs(found))
    assert verdict(found).startswith("Gradients seem masked")


class Flat(Brightness):
    """No slope at all, and yet a gradient: of zeros."""

    def forward(self, x):
        return super().forward(x.round() + 0 * x)


def test_a_model_without_a_slope_is_named():
    found = _measured(Flat())
    assert found.flat == 1
    assert any("100 % of the images the loss has no slope" in sign for sign in signs(found))


def test_what_was_not_looked_at_is_not_judged():
    found = _measured(Brightness(levels=16), checks=False)
    assert "not looked at" in verdict(found)
