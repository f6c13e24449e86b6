"""Closed forms by the n x n Gram matrix against the f x f covariance written out."""

import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage as slow_shrinkage
from sklearn.linear_model import Ridge

from medshot.inner import closed_form
from medshot.inner.closed_form import (
    ledoit_wolf_shrinkage,
    precision_factors,
    ridge_weights,
    shrunk_discriminant,
)


def _residuals(n: int, f: int) -> torch.Tensor:
    residuals = torch.randn(n, f, dtype=torch.float64) @ torch.randn(f, f, dtype=torch.float64)
    return residuals - residuals.mean(0)


@pytest.mark.parametrize(("n", "f"), [(6, 20), (20, 6)], ids=["n < f", "n > f"])
@pytest.mark.parametrize("shrinkage", [0.05, 0.5, 1.0])
def test_the_discriminant_solves_with_the_shrunk_covariance(n, f, shrinkage):
    residuals, means = _residuals(n, f), torch.randn(3, f, dtype=torch.float64)
    covariance = residuals.T @ residuals / n
    mu = covariance.diagonal().mean()
    shrunk = (1 - shrinkage) * covariance + shrinkage * mu * torch.eye(f, dtype=torch.float64)
    s = torch.tensor(shrinkage, dtype=torch.float64)
    found = shrunk_discriminant(means, residuals, s)
    torch.testing.assert_close(found, torch.linalg.solve(shrunk, means.T))


@pytest.mark.parametrize(("n", "f"), [(6, 20), (40, 6)], ids=["n < f", "n > f"])
def test_the_shrinkage_is_that_of_scikit_learn(n, f):
    residuals = _residuals(n, f)
    expected = slow_shrinkage(residuals.numpy(), assume_centered=True)
    assert float(ledoit_wolf_shrinkage(residuals)) == pytest.approx(expected, abs=1e-9)


def test_a_sphere_is_shrunk_all_the_way():
    across = torch.eye(4, dtype=torch.float64)
    assert float(ledoit_wolf_shrinkage(torch.cat([across, -across]))) == 1.0


def test_gradients_pass_through():
    residuals = _residuals(5, 7).requires_grad_()
    means = torch.randn(2, 7, dtype=torch.float64, requires_grad=True)

    def weights(m, r):
        return shrunk_discriminant(m, r, ledoit_wolf_shrinkage(r).clamp(min=1e-3))

    assert torch.autograd.gradcheck(weights, (means, residuals))


@pytest.mark.parametrize(("n", "f"), [(6, 20), (20, 6), (6, 6)], ids=["n < f", "n > f", "n = f"])
@pytest.mark.parametrize("penalty", [1e-3, 1.0, 50.0])
def test_the_ridge_is_that_of_scikit_learn(n, f, penalty):
    z, targets = (torch.randn(n, m, dtype=torch.float64) for m in (f, 3))
    slow = Ridge(alpha=penalty, fit_intercept=False, solver="svd", tol=1e-12)
    slow.fit(z.numpy(), targets.numpy())
    found = ridge_weights(z, targets, torch.tensor(penalty, dtype=torch.float64))
    torch.testing.assert_close(found, torch.from_numpy(slow.coef_.T), atol=1e-9, rtol=1e-6)


@pytest.mark.parametrize(("r", "f"), [(6, 20), (20, 6)], ids=["r < f", "r > f"])
def test_the_factors_make_the_inverse_of_the_sum_written_out(r, f):
    rows, weights = torch.randn(r, f, dtype=torch.float64), torch.rand(3, r, dtype=torch.float64)
    diagonals = 0.1 + torch.rand(3, f, dtype=torch.float64)
    factors = precision_factors(rows, weights, diagonals)
    for c in range(3):
        covariance = torch.diag(diagonals[c])
        for weight, row in zip(weights[c], rows, strict=True):
            covariance = covariance + weight * torch.outer(row, row)
        found = torch.diag(1 / diagonals[c]) - factors[c].T @ factors[c]
        torch.testing.assert_close(found, torch.linalg.inv(covariance))


def test_neither_is_solved_in_half_precision():
    z, targets, one = torch.randn(6, 9), torch.randn(6, 3), torch.tensor(1.0)
    weights, diagonals = torch.rand(3, 6), 0.1 + torch.rand(3, 9)
    expected = ridge_weights(z, targets, one), precision_factors(z, weights, diagonals)
    with torch.autocast("cpu", torch.bfloat16):
        found = ridge_weights(z, targets, one), precision_factors(z, weights, diagonals)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


# Classifiers on a kernel matrix: against plain fits, and left-out scores against fits repeated.


N, F, K = 12, 30, 3
PENALTY = 0.3
SINGLE = [torch.tensor([i]) for i in range(N)]
PATIENTS = [torch.tensor(rows) for rows in ([0, 3], [1], [2, 4, 5], [6, 7, 8], [9, 10, 11])]
NOTHING = torch.eye(N, dtype=torch.bool)
HELD = pytest.mark.parametrize("held", [SINGLE, PATIENTS], ids=["images", "patients"])


@pytest.fixture
def problem() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, the kernel, labels in rows of 0 and 1, and weights that differ."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(N, F, generator=rng, dtype=torch.float64)
    labels = torch.eye(K, dtype=torch.float64)[torch.arange(N) % K]
    x[:, :K] += 2 * labels
    weights = 0.5 + torch.rand(N, generator=rng, dtype=torch.float64)
    return x, x @ x.T, labels, weights


def together(held: list[torch.Tensor], n: int = N) -> torch.Tensor:
    """The rows that are left out at the same time."""
    mask = torch.zeros(n, n, dtype=torch.bool)
    for rows in held:
        mask[rows[:, None], rows] = True
    return mask


def rest_of(rows: torch.Tensor) -> list[int]:
    return [i for i in range(N) if i not in rows.tolist()]


def primal_ridge(x, y, weights) -> torch.Tensor:
    """The weight `f k` of a weighted ridge regression, by its normal equations."""
    scatter = x.T @ (weights[:, None] * x) + PENALTY * torch.eye(F, dtype=x.dtype)
    return torch.linalg.solve(scatter, x.T @ (weights[:, None] * y))


def test_ridge_is_that_of_the_normal_equations(problem):
    x, kernel, y, weights = problem
    coefficients, _ = closed_form.ridge(kernel, y, PENALTY, weights, NOTHING)
    torch.testing.assert_close(x.T @ coefficients, primal_ridge(x, y, weights))


@HELD
def test_ridge_says_of_each_set_what_a_fit_without_it_says(problem, held):
    x, kernel, y, weights = problem
    _, left_out = closed_form.ridge(kernel, y, PENALTY, weights, together(held))
    for rows in held:
        rest = rest_of(rows)
        slow = x[rows] @ primal_ridge(x[rest], y[rest], weights[rest])
        torch.testing.assert_close(left_out[rows], slow)


@HELD
def test_prototypes_are_cosines_to_the_means_of_the_others(problem, held):
    x, kernel, labels, _ = problem
    coefficients, left_out = closed_form.prototypes(kernel, labels, together(held))
    weight = torch.nn.functional.normalize(_means(x, labels), dim=1)
    torch.testing.assert_close(kernel @ coefficients, x @ weight.T)
    for rows in held:
        rest = rest_of(rows)
        means = torch.nn.functional.normalize(_means(x[rest], labels[rest]), dim=1)
        torch.testing.assert_close(left_out[rows], x[rows] @ means.T)


def test_a_class_of_which_nothing_is_left_scores_nought():
    kernel = torch.eye(3, dtype=torch.float64) + 1
    labels = torch.tensor([[1.0, 0], [0, 1], [0, 1]], dtype=torch.float64)
    held = together([torch.tensor([0]), torch.tensor([1, 2])], 3)
    _, left_out = closed_form.prototypes(kernel, labels, held)
    assert left_out[0, 0] == 0
    assert left_out[1, 1] == 0
    assert left_out[0, 1] > 0


def _means(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.stack([x[labels[:, c] == 1].mean(0) for c in range(K)])
