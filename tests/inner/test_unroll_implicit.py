"""Implicit gradients where minimum and Hessian are known."""

import pytest
import torch

from medshot.inner.rules import SGD
from medshot.inner.unroll import conjugate_gradients, implicit, pulled, unroll

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
