"""Rules of update are pure functions."""

import math

import pytest
import torch

from medshot.inner.rules import (
    SGD,
    Adam,
    GradientContext,
    LSTMRule,
    MetaLSTMRule,
    MLPRule,
    PerParameterSGD,
    PerTensorSGD,
    log_and_sign,
)

NOWHERE = GradientContext({}, torch.zeros(()))


def test_sgd_is_minus_the_rate_times_the_gradient_and_has_no_memory():
    rule, grads = SGD(0.25), {"a": torch.tensor([1.0, -2.0])}
    state = rule.init({"a": torch.zeros(2)})
    updates, after = rule.update(grads, state, NOWHERE)
    assert updates["a"].tolist() == [-0.25, 0.5]
    assert state is after is None
    assert grads["a"].tolist() == [1.0, -2.0]
    assert list(rule.parameters()) == []


def test_adam_takes_the_steps_of_pytorchs():
    p = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
    theirs, rule = torch.optim.Adam([p], lr=0.1, betas=(0.8, 0.9)), Adam(0.1, beta1=0.8, beta2=0.9)
    ours = {"p": p.detach().clone()}
    state = rule.init(ours)
    for _ in range(4):
        grad = 2 * ours["p"] * torch.tensor([1.0, 3.0, 0.0])
        p.grad = grad.clone()
        theirs.step()
        updates, state = rule.update({"p": grad}, state, NOWHERE)
        ours = {"p": ours["p"] + updates["p"]}
        torch.testing.assert_close(ours["p"], p.detach(), rtol=1e-6, atol=1e-9)


def test_adam_can_be_differentiated_also_where_the_gradient_is_zero():
    rule, start = Adam(0.1), torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    updates, _ = rule.update({"p": start * 2}, rule.init({"p": start}), NOWHERE)
    slope = torch.autograd.grad(updates["p"].sum(), start)[0]
    assert slope.isfinite().all()


# Learned optimizers against loops over scalars.


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


# Ravi & Larochelle's update against a loop over scalars.


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


# Learned rates: whose, when, and what gradients teach them.


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
