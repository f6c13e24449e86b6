"""Ravi & Larochelle's update against a loop over scalars."""

import pytest
import torch

from medshot.inner.learned_rules import MetaLSTMRule, log_and_sign
from medshot.inner.rules import GradientContext


def test_the_update_is_that_of_the_gates_scalar_by_scalar():
    rule = MetaLSTMRule(lr=0.1, hidden=4)
    with torch.no_grad():
        for gate in (rule.forget, rule.write):
            gate.weight.normal_()
    params, state = {"w": torch.randn(2, 3)}, rule.init({"w": torch.zeros(2, 3)})
    memories = [(torch.zeros(1, 4), torch.zeros(1, 4)) for _ in range(6)]
    before = [(rule.forget.bias.sigmoid(), rule.write.bias.sigmoid()) for _ in range(6)]
    for loss in (torch.tensor(0.7), torch.tensor(0.2)):
        grads = {"w": torch.randn(2, 3)}
        updates, state = rule.update(grads, state, GradientContext(params, loss))
        for i in range(6):
            g, theta = grads["w"].reshape(-1)[i], params["w"].reshape(-1)[i]
            x = torch.cat([log_and_sign(g), log_and_sign(loss)], 1)
            memories[i] = rule.cell(x, memories[i])
            h = memories[i][0][0]
            f, w = before[i]
            seen = [torch.cat([h, theta[None], gate]) for gate in (f, w)]
            f = (rule.forget.weight @ seen[0] + rule.forget.bias).sigmoid()
            w = (rule.write.weight @ seen[1] + rule.write.bias).sigmoid()
            before[i] = f, w
            after = f * theta - w * g
            torch.testing.assert_close((theta + updates["w"].reshape(-1)[i])[None], after)
        params = {"w": params["w"] + updates["w"]}


def test_at_first_it_is_descent_that_forgets_next_to_nothing():
    rule = MetaLSTMRule(lr=0.1)
    params, grads = {"w": torch.randn(50)}, {"w": torch.randn(50)}
    updates, _ = rule.update(grads, rule.init(params), GradientContext(params, torch.tensor(1.0)))
    assert (updates["w"] + 0.1 * grads["w"]).abs().max() < 0.02


def test_the_parameters_are_a_cell_state_whose_past_teaches():
    rule, start = MetaLSTMRule(lr=0.1), torch.randn(3, requires_grad=True)
    params = {"w": start}
    updates, _ = rule.update(
        {"w": torch.ones(3)}, rule.init(params), GradientContext(params, torch.ones(()))
    )
    (start + updates["w"]).sum().backward()
    assert start.grad.tolist() == pytest.approx([0.9997] * 3, abs=3e-4)
