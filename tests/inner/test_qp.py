"""Quadratic programmes over simplices: optimality, a general solver, finite differences."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from medshot.inner.qp import lifted, simplex_qp


def _problem(
    k: int, n: int, f: int, spread: float = 1.0, total: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """A programme as support vector machines have, but with other costs for each entry."""
    z = spread * torch.randn(n, f, dtype=torch.float64)
    labels = torch.eye(k, dtype=torch.float64).repeat(1, n // k + 1)[:, :n]
    costs = labels + 0.2 * torch.randn(k, n, dtype=torch.float64)
    gram = lifted(z @ z.T)
    return gram, costs - total * labels @ gram


@pytest.mark.parametrize("total", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(
    ("k", "n", "f", "spread"),
    [(2, 6, 20, 1.0), (5, 25, 64, 1.0), (3, 20, 4, 1.0), (5, 25, 64, 1e-3), (5, 25, 64, 100.0)],
    ids=["two", "n < f", "n > f", "small", "large"],
)
def test_the_solution_is_optimal(k, n, f, spread, total):
    gram, linear = _problem(k, n, f, spread, total)
    x = simplex_qp(gram, linear, total)
    slope = x @ gram + linear
    s = slope - slope.amin(0)  # the multipliers of x >= 0, where the sums' are as large as may be
    assert x.min() >= -1e-7 * total
    torch.testing.assert_close(x.sum(0), torch.full((n,), total).double(), rtol=1e-7, atol=0)
    # The duality gap, as both objectives differ by the sum of x s, is nothing beside the slopes.
    assert (x * s).sum() <= 1e-6 * total * (slope.amax() - slope.amin())
    assert 0.05 < (x > 1e-6 * total).double().mean() < 0.95  # some of the bounds hold, some do not


def test_the_solution_is_that_of_a_general_solver():
    gram, linear = _problem(3, 4, 6)
    k, n = linear.shape

    def objective(flat: np.ndarray) -> float:
        x = flat.reshape(k, n)
        return 0.5 * np.trace(x @ gram.numpy() @ x.T) + (linear.numpy() * x).sum()

    sums = {"type": "eq", "fun": lambda flat: flat.reshape(k, n).sum(0) - 1}
    slow = minimize(
        objective,
        np.full(k * n, 1 / k),
        bounds=[(0, None)] * (k * n),
        constraints=sums,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert slow.success
    np.testing.assert_allclose(simplex_qp(gram, linear, 1.0), slow.x.reshape(k, n), atol=1e-5)


def test_gradients_are_finite_differences():
    z = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    linear = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    solution = simplex_qp(z @ z.T, linear, 1.0)
    assert 0 < (solution > 0).sum(0).double().mean() < 3  # bounds that hold, and entries that move
    assert torch.autograd.gradcheck(lambda a, b: simplex_qp(a @ a.T, b, 1.0), (z, linear))


def test_a_batch_is_its_members():
    problems = [_problem(3, 6, f, spread) for f, spread in ((9, 1.0), (2, 1.0), (9, 30.0))]
    together = simplex_qp(*(torch.stack(parts) for parts in zip(*problems, strict=True)), 1.0)
    for x, (gram, linear) in zip(together, problems, strict=True):
        torch.testing.assert_close(x, simplex_qp(gram, linear, 1.0), atol=1e-7, rtol=1e-7)


def test_without_a_quadratic_part_the_least_cost_takes_all():
    linear = torch.tensor([[1.0, 0.0], [0.0, 5.0], [2.0, 1.0]], dtype=torch.float64)
    x = simplex_qp(lifted(torch.zeros(2, 2).double()), linear, 3.0)
    expected = torch.tensor([[0.0, 3.0], [3.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(x, expected, atol=1e-7, rtol=0)


def test_equal_costs_share():
    x = simplex_qp(lifted(torch.zeros(2, 2).double()), torch.zeros(3, 2).double(), 3.0)
    torch.testing.assert_close(x, torch.ones(3, 2).double())


def test_the_sums_are_kept_in_single_precision_and_under_autocast():
    gram, linear = _problem(3, 6, 9)
    with torch.autocast("cpu", torch.bfloat16):
        x = simplex_qp(gram.float(), linear.float(), 1.0)
    torch.testing.assert_close(x, simplex_qp(gram, linear, 1.0), atol=1e-5, rtol=1e-5)


def test_what_is_not_finite_comes_out_as_such():
    gram, linear = _problem(3, 6, 9)
    gram[0, 0] = torch.nan
    assert not simplex_qp(gram, linear, 1.0).isfinite().all()


def test_lifting_is_by_eight_orders_less_and_makes_the_singular_definite():
    z = torch.randn(6, 2, dtype=torch.float64)
    gram = z @ z.T
    added = lifted(gram) - gram
    torch.testing.assert_close(
        added.diagonal(), 1e-8 * gram.diagonal().mean().expand(6), rtol=1e-3, atol=0
    )
    assert torch.linalg.eigvalsh(lifted(gram)).min() > 0
