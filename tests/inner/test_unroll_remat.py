"""Steps that are taken again give the gradients of steps that were recorded."""

import gc
import weakref

import pytest
import torch

from medshot.inner.learned_rules import PerParameterSGD
from medshot.inner.rules import SGD, Adam
from medshot.inner.unroll import checkpointed_step, path, unroll


def _loss(factor):
    return lambda p: (factor * p["a"].sin() * p["b"]).sum() + p["a"].square().sum()


def _both(rule, *, first_order: bool = False, steps: int = 3):
    """End and gradients, recorded and not."""
    found = []
    for again in (False, True):
        torch.manual_seed(0)
        start = {n: torch.randn(4, dtype=torch.float64, requires_grad=True) for n in "ab"}
        factor = torch.randn(4, dtype=torch.float64, requires_grad=True)
        captured = [factor, *rule.parameters()] if again else None
        *_, end = path(
            start, _loss(factor), rule, steps=steps, first_order=first_order, captured=captured
        )
        leaves = [*start.values(), factor, *rule.parameters()]
        value = sum((p**3).sum() for p in end.values())
        grads = torch.autograd.grad(value, leaves, allow_unused=True)
        found.append((end, grads))
    return found


def _learned_rates():
    template = {n: torch.zeros(4, dtype=torch.float64) for n in "ab"}
    return PerParameterSGD(template, 0.1)


@pytest.mark.parametrize("rule", [SGD(0.1), Adam(0.05), _learned_rates()])
@pytest.mark.parametrize("first_order", [False, True])
def test_ends_and_gradients_are_those_of_recorded_steps(rule, first_order):
    (end, grads), (end_again, grads_again) = _both(rule, first_order=first_order)
    torch.testing.assert_close(end_again, end, rtol=0, atol=1e-12)
    for g, again in zip(grads, grads_again, strict=True):
        assert (g is None) == (again is None)
        if g is not None:
            torch.testing.assert_close(again, g, rtol=1e-10, atol=1e-12)
    assert grads_again[0].any()


def test_nothing_of_a_step_is_kept_but_its_start():
    class Saved:
        def __init__(self, tensor):
            self.tensor = tensor

    alive = weakref.WeakSet()

    def pack(tensor):
        saved = Saved(tensor)
        alive.add(saved)
        return saved

    start = {n: torch.randn(4, requires_grad=True) for n in "ab"}
    loss, rule = _loss(torch.ones(4)), SGD(0.1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        kept, _ = checkpointed_step(start, None, loss, rule, True, [])
        assert len(alive) == len(start)
        recorded = unroll(start, loss, rule, steps=1)
        assert len(alive) > 2 * len(start)
    torch.testing.assert_close(recorded, kept)


def test_what_is_not_named_gets_no_gradient_so_naming_it_matters():
    start = {n: torch.randn(4, requires_grad=True) for n in "ab"}
    factor = torch.ones(4, requires_grad=True)
    end, _ = checkpointed_step(start, None, _loss(factor), SGD(0.1), True, [])
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(end["a"].sum(), factor)


def test_a_step_taken_again_backwards_is_let_go_of():
    start = {n: torch.randn(4, requires_grad=True) for n in "ab"}
    *_, end = path(start, _loss(torch.ones(4)), SGD(0.1), steps=4, captured=[])
    loss = end["a"].sum()
    before = _recorded()
    loss.backward()
    assert _recorded() <= before  # what is left of a step would be left of each, until the last


def _recorded():
    tensors = [o for o in gc.get_objects() if type(o) is torch.Tensor]
    return sum(t.grad_fn is not None for t in tensors)
