"""Learned optimizers against loops over scalars."""

import math

import pytest
import torch

from medshot.inner.learned_rules import LSTMRule, MLPRule, log_and_sign
from medshot.inner.rules import GradientContext

PARAMS = {"w": torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), "b": torch.ones(2)}
HERE = GradientContext(PARAMS, torch.tensor(0.5))


def _grads(seed: int) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {n: torch.randn(p.shape, generator=rng) for n, p in PARAMS.items()}


@pytest.mark.parametrize(
    ("grad", "expected"),
    [
        (1.0, (0.0, 1.0)),
        (-math.exp(5), (0.5, -1.0)),
        (math.exp(-20), (-1.0, math.exp(-10))),
        (-math.exp(-20), (-1.0, -math.exp(-10))),
        (0.0, (-1.0, 0.0)),
    ],
)
def test_gradients_become_logarithm_and_sign(grad, expected):
    found = log_and_sign(torch.tensor(grad, dtype=torch.float64))
    assert found[0].tolist() == pytest.approx(expected)


def test_the_lstm_treats_every_scalar_by_itself_with_its_own_memory():
    rule = LSTMRule(lr=0.1, hidden=4, layers=2, output_scale=0.7)
    state = rule.init(PARAMS)
    memories = {(n, i): _empty(rule) for n, p in PARAMS.items() for i in range(p.numel())}
    for step in range(3):
        grads = _grads(step)
        updates, state = rule.update(grads, state, HERE)
        for (name, i), memory in memories.items():
            g = grads[name].reshape(-1)[i]
            signal = log_and_sign(g)
            for layer, cell in enumerate(rule.cells):
                memory[layer] = _lstm(cell, signal, *memory[layer])
                signal = memory[layer][0]
            slow = 0.7 * (rule.out.weight @ signal[0] + rule.out.bias) - 0.1 * g
            torch.testing.assert_close(updates[name].reshape(-1)[i], slow[0])


def _empty(rule):
    return [(torch.zeros(1, 4), torch.zeros(1, 4)) for _ in rule.cells]


def _lstm(cell, x, h, c):
    """One step of an LSTM written out; gates in PyTorch's order: input, forget, cell, output."""
    gates = x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_the_perceptron_sees_gradient_value_and_momenta_of_every_scalar():
    rule = MLPRule(lr=0.1, hidden=5, decays=(0.5,), output_scale=0.7)
    state = rule.init(PARAMS)
    momentum = {n: torch.zeros_like(p) for n, p in PARAMS.items()}
    for step in range(2):
        grads = _grads(step)
        updates, state = rule.update(grads, state, HERE)
        for name, g in grads.items():
            momentum[name] = 0.5 * momentum[name] + 0.5 * g
            sizes = [t.square().mean().sqrt() for t in (g, PARAMS[name], momentum[name])]
            for i in range(g.numel()):
                tensors = (g, PARAMS[name], momentum[name])
                seen = [t.reshape(-1)[i] / s for t, s in zip(tensors, sizes, strict=True)]
                direction, magnitude = rule.layers(torch.stack(seen))
                slow = 0.7 * direction * magnitude.exp() - 0.1 * g.reshape(-1)[i]
                torch.testing.assert_close(updates[name].reshape(-1)[i], slow)


@pytest.mark.parametrize("rule", [LSTMRule(lr=0.1), MLPRule(lr=0.1)])
def test_no_gradient_flows_through_the_gradients(rule):
    grads = {n: g.requires_grad_() for n, g in _grads(0).items()}
    updates, _ = rule.update(grads, rule.init(PARAMS), HERE)
    updates["w"].sum().backward()
    assert all(g.grad is None for g in grads.values())
    assert any(p.grad is not None and p.grad.any() for p in rule.parameters())
