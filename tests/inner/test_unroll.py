"""Unrolled steps on a parabola, where every step and every derivative is known.

On the loss c p^2 / 2 a step of rate r is p (1 - r c), so after n of them p_n = p (1 - r c)^n.
"""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from medshot.inner.rules import (
    SGD,
    Adam,
    GradientContext,
    Params,
    PerParameterSGD,
    State,
    UpdateRule,
)
from medshot.inner.unroll import (
    checkpointed_step,
    conjugate_gradients,
    implicit,
    path,
    pulled,
    unroll,
)

RATE, CURVE, STEPS = 0.3, 2.0, 3
SHRINK = 1 - RATE * CURVE


def _parabola(params: Params) -> Tensor:
    return CURVE / 2 * params["p"] ** 2


def _unrolled(p: Tensor, **options: object) -> Tensor:
    return unroll({"p": p}, _parabola, SGD(RATE), steps=STEPS, **options)["p"]


@pytest.mark.parametrize("first_order", [False, True])
def test_the_end_is_that_of_the_formula_and_the_start_stays(first_order):
    p = torch.tensor(1.5, requires_grad=True)
    end = _unrolled(p, first_order=first_order)
    assert end.item() == pytest.approx(1.5 * SHRINK**STEPS)
    assert p.item() == 1.5
    assert p.grad is None


@pytest.mark.parametrize(("first_order", "slope"), [(False, SHRINK**STEPS), (True, 1.0)])
def test_the_derivative_by_the_start(first_order, slope):
    p = torch.tensor(1.5, requires_grad=True)
    _unrolled(p, first_order=first_order).backward()
    assert p.grad.item() == pytest.approx(slope)


def test_without_steps_the_start_is_the_end():
    p = torch.tensor(1.5, requires_grad=True)
    assert unroll({"p": p}, _parabola, SGD(RATE), steps=0)["p"] is p


def test_the_path_has_every_stage():
    p = torch.tensor(1.5, requires_grad=True)
    stages = list(path({"p": p}, _parabola, SGD(RATE), steps=STEPS))
    assert [s["p"].item() for s in stages] == pytest.approx([1.5 * SHRINK**n for n in range(4)])
    stages[2]["p"].backward()
    assert p.grad.item() == pytest.approx(SHRINK**2)


def test_a_rule_is_told_where_the_gradient_was_taken():
    class Recording(SGD):
        def update(
            self, grads: Params, state: State, here: GradientContext
        ) -> tuple[Params, State]:
            seen.append((here.params["p"].item(), here.loss.item(), here.loss.requires_grad))
            return super().update(grads, state, here)

    seen = []
    p = torch.tensor(1.5, requires_grad=True)
    unroll({"p": p}, _parabola, Recording(RATE), steps=2, first_order=True)
    later = 1.5 * SHRINK
    assert seen == [(1.5, 1.5**2, False), (pytest.approx(later), pytest.approx(later**2), False)]


def test_under_no_grad_it_moves_and_holds_no_graph():
    p = torch.tensor(1.5, requires_grad=True)
    with torch.no_grad():
        end = _unrolled(p)
    assert end.item() == pytest.approx(1.5 * SHRINK**STEPS)
    assert not end.requires_grad
    assert p.requires_grad


def test_what_asks_for_no_gradient_moves_too():
    p = torch.tensor(1.5)
    assert _unrolled(p).item() == pytest.approx(1.5 * SHRINK**STEPS)
    assert not p.requires_grad


def test_what_the_loss_does_not_depend_on_stays():
    params = {n: torch.tensor(1.5, requires_grad=True) for n in ("p", "unused")}
    assert unroll(params, _parabola, SGD(RATE), steps=STEPS)["unused"].item() == 1.5


def test_the_state_of_a_rule_goes_from_step_to_step_and_its_rates_can_be_learned():
    class Slowing(UpdateRule):
        """A learned rate, divided by the number of the step."""

        def __init__(self) -> None:
            super().__init__()
            self.rate = torch.nn.Parameter(torch.tensor(RATE))

        def init(self, params: Params) -> State:
            return 1

        def update(
            self, grads: Params, state: State, here: GradientContext
        ) -> tuple[Params, State]:
            return {n: -self.rate / state * g for n, g in grads.items()}, state + 1

    rule, p = Slowing(), torch.tensor(1.5, requires_grad=True)
    end = unroll({"p": p}, _parabola, rule, steps=2)["p"]
    assert end.item() == pytest.approx(1.5 * (1 - RATE * CURVE) * (1 - RATE * CURVE / 2))
    end.backward()
    slope = 1.5 * (-CURVE * (1 - RATE * CURVE / 2) - CURVE / 2 * (1 - RATE * CURVE))
    assert rule.rate.grad.item() == pytest.approx(slope)


# Steps that are taken again give the gradients of steps that were recorded.


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


# Implicit gradients where minimum and Hessian are known.


A = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
B = torch.tensor([1.0, -1.0], dtype=torch.float64)
PULL = 0.7


def _quadratic(params):
    p = params["p"]
    return p @ A @ p / 2 - B @ p


def test_conjugate_gradients_solve_in_as_many_steps_as_unknowns():
    root = torch.randn(6, 6, dtype=torch.float64)
    matrix, b = root @ root.T + torch.eye(6), torch.randn(6, dtype=torch.float64)
    exact = torch.linalg.solve(matrix, b)
    found = conjugate_gradients(lambda v: matrix @ v, b, 6)
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-8)
    fewer = conjugate_gradients(lambda v: matrix @ v, b, 2)
    assert (fewer - exact).norm() > 1e-3
    assert not conjugate_gradients(lambda v: matrix @ v, torch.zeros_like(b), 3).any()


def test_the_pull_is_half_the_squared_way_and_holds_the_start_still():
    start = {"p": torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)}
    here = {"p": torch.tensor([2.0, 0.0], dtype=torch.float64)}
    total = pulled(_quadratic, start, PULL)(here)
    assert total.item() == pytest.approx(_quadratic(here).item() + PULL / 2 * (1 + 4))
    assert not total.requires_grad


def test_the_derivative_of_the_minimum_by_the_start_is_the_known_matrix():
    start = {"p": torch.randn(2, dtype=torch.float64, requires_grad=True)}
    with torch.no_grad():
        end = unroll(start, pulled(_quadratic, start, PULL), SGD(0.2), steps=200)
    lemma = torch.linalg.inv(torch.eye(2, dtype=torch.float64) + A / PULL)
    torch.testing.assert_close(
        end["p"], torch.linalg.solve(A + PULL * torch.eye(2), B + PULL * start["p"])
    )
    found = implicit(start, end, _quadratic, pull=PULL, solver_steps=2)["p"]
    torch.testing.assert_close(found, end["p"])
    for i in range(2):
        row = torch.autograd.grad(found[i], start["p"], retain_graph=True)[0]
        torch.testing.assert_close(row, lemma[i], rtol=1e-7, atol=1e-9)


def test_damping_goes_from_the_implicit_to_the_first_order_gradient():
    start = {"p": torch.randn(2, dtype=torch.float64, requires_grad=True)}
    end = {"p": torch.randn(2, dtype=torch.float64)}
    for damping in (0.5, 1e9):
        how = {"pull": PULL, "solver_steps": 2, "damping": damping}
        found = implicit(start, end, _quadratic, **how)["p"]
        row = torch.autograd.grad(found[0], start["p"])[0]
        damped = torch.linalg.inv(torch.eye(2, dtype=torch.float64) + A / (PULL + damping))
        torch.testing.assert_close(row, damped[0], rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(row, torch.tensor([1.0, 0.0], dtype=torch.float64))


def test_damping_keeps_a_system_positive_that_curves_down():
    saddle = torch.tensor([[-3.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    start = {"p": torch.ones(2, dtype=torch.float64, requires_grad=True)}
    end = {"p": torch.ones(2, dtype=torch.float64)}

    def slope(damping):
        loss = lambda p: p["p"] @ saddle @ p["p"] / 2  # noqa: E731
        how = {"pull": PULL, "solver_steps": 2, "damping": damping}
        found = implicit(start, end, loss, **how)["p"].sum()
        return torch.autograd.grad(found, start["p"])[0][0].item()

    assert slope(0.0) < 0 < slope(10.0)
