"""Closed forms by the n x n Gram matrix against the f x f covariance written out."""

import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage as slow_shrinkage
from sklearn.linear_model import Ridge

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
