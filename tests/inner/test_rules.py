"""Rules of update are pure functions."""

import torch

from medshot.inner.rules import SGD, Adam, GradientContext

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
