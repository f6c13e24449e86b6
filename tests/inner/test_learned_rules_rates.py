"""Learned rates: whose, when, and what gradients teach them."""

import pytest
import torch

from medshot.inner.learned_rules import PerParameterSGD, PerTensorSGD
from medshot.inner.rules import GradientContext

NOWHERE = GradientContext({}, torch.zeros(()))
GRADS = {"a.b": torch.tensor([1.0, -2.0]), "c": torch.tensor([[3.0]])}


def test_every_scalar_has_its_rate():
    rule = PerParameterSGD({n: torch.zeros_like(g) for n, g in GRADS.items()}, 0.5)
    with torch.no_grad():
        rule.rates["a/b"].copy_(torch.tensor([0.1, -0.2]))
    updates, _ = rule.update(GRADS, rule.init(GRADS), NOWHERE)
    assert updates["a.b"].tolist() == pytest.approx([-0.1, -0.4])
    assert updates["c"].tolist() == [[-1.5]]
    updates["a.b"].sum().backward()
    assert rule.rates["a/b"].grad.tolist() == [-1.0, 2.0]


def test_a_template_of_one_column_has_one_rate_for_all_columns():
    rule = PerParameterSGD({"w": torch.zeros(2, 1)}, 0.5)
    updates, _ = rule.update({"w": torch.ones(2, 7)}, None, NOWHERE)
    assert updates["w"].shape == (2, 7)
    assert len(rule.rates["w"]) == 2


def test_every_tensor_has_a_rate_at_each_step_and_keeps_the_last():
    rule = PerTensorSGD(["a.b", "c"], 0.5, steps=2)
    with torch.no_grad():
        rule.rates.copy_(torch.tensor([[0.1, 0.2], [0.3, 0.4]]))
    state, rates = rule.init(GRADS), []
    for _ in range(3):
        updates, state = rule.update(GRADS, state, NOWHERE)
        rates.append((-updates["a.b"][0].item(), -updates["c"].item() / 3))
    expected = [(0.1, 0.2), (0.3, 0.4), (0.3, 0.4)]
    assert rates == [pytest.approx(pair) for pair in expected]


def test_positive_rates_stay_so():
    rule = PerTensorSGD(["c"], 0.25, steps=1, positive=True)
    assert rule.rates.item() == pytest.approx(torch.tensor(0.25).log().item())
    with torch.no_grad():
        rule.rates.fill_(-50.0)
    updates, _ = rule.update({"c": torch.tensor(1.0)}, 0, NOWHERE)
    assert updates["c"].item() < 0
