"""Closed forms by the n x n Gram matrix against the f x f covariance written out."""

import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage as slow_shrinkage

from medshot.inner.solve import ledoit_wolf_shrinkage, shrunk_discriminant


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
