"""Classifiers on a kernel matrix: against plain fits, and left-out scores against fits repeated."""

import pytest
import torch

from medshot.inner import closed_form

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
