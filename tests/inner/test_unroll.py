"""Unrolled steps on a parabola, where every step and every derivative is known.

On the loss c p^2 / 2 a step of rate r is p (1 - r c), so after n of them p_n = p (1 - r c)^n.
"""

import pytest
import torch
from torch import Tensor

from medshot.inner.rules import SGD, GradientContext, Params, State, UpdateRule
from medshot.inner.unroll import path, unroll

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
