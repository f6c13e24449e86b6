"""Classifiers on a kernel matrix: against plain fits, and left-out scores against fits repeated."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from medshot.inner import dual

N, F, K = 12, 30, 3
PENALTY = 0.3
SINGLE = [torch.tensor([i]) for i in range(N)]
PATIENTS = [torch.tensor(rows) for rows in ([0, 3], [1], [2, 4, 5], [6, 7, 8], [9, 10, 11])]
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


def rest_of(rows: torch.Tensor) -> list[int]:
    return [i for i in range(N) if i not in rows.tolist()]


def primal_ridge(x, y, weights) -> torch.Tensor:
    """The weight `f k` of a weighted ridge regression, by its normal equations."""
    scatter = x.T @ (weights[:, None] * x) + PENALTY * torch.eye(F, dtype=x.dtype)
    return torch.linalg.solve(scatter, x.T @ (weights[:, None] * y))


def test_ridge_is_that_of_the_normal_equations(problem):
    x, kernel, y, weights = problem
    (coefficients, intercept), _ = dual.ridge(kernel, y, PENALTY, weights, [])
    torch.testing.assert_close(x.T @ coefficients, primal_ridge(x, y, weights))
    assert not intercept.any()


@HELD
def test_ridge_says_of_each_set_what_a_fit_without_it_says(problem, held):
    x, kernel, y, weights = problem
    _, left_out = dual.ridge(kernel, y, PENALTY, weights, held)
    for rows in held:
        rest = rest_of(rows)
        slow = x[rows] @ primal_ridge(x[rest], y[rest], weights[rest])
        torch.testing.assert_close(left_out[rows], slow)


@HELD
def test_prototypes_are_cosines_to_the_means_of_the_others(problem, held):
    x, kernel, labels, _ = problem
    (coefficients, _), left_out = dual.prototypes(kernel, labels, held)
    weight = torch.nn.functional.normalize(_means(x, labels), dim=1)
    torch.testing.assert_close(kernel @ coefficients, x @ weight.T)
    for rows in held:
        rest = rest_of(rows)
        means = torch.nn.functional.normalize(_means(x[rest], labels[rest]), dim=1)
        torch.testing.assert_close(left_out[rows], x[rows] @ means.T)


def test_a_class_of_which_nothing_is_left_scores_nought():
    kernel = torch.eye(3, dtype=torch.float64) + 1
    labels = torch.tensor([[1.0, 0], [0, 1], [0, 1]], dtype=torch.float64)
    _, left_out = dual.prototypes(kernel, labels, [torch.tensor([0]), torch.tensor([1, 2])])
    assert left_out[0, 0] == 0
    assert left_out[1, 1] == 0
    assert left_out[0, 1] > 0


@pytest.mark.parametrize("balanced", [False, True])
def test_logistic_regression_is_that_of_scikit_learn(problem, balanced):
    x, _, labels, _ = problem
    kept = torch.tensor([0, 1, 2, 3, 6, 9, 4, 7, 5])  # 4, 3 and 2 of the classes
    x, labels = x[kept], labels[kept]
    y, n = labels.argmax(1).numpy(), len(kept)
    each = (labels / labels.sum(0)).sum(1) * n / K if balanced else torch.ones(n, dtype=x.dtype)
    theirs = LogisticRegression(
        C=1 / PENALTY, max_iter=5000, tol=1e-10, class_weight="balanced" if balanced else None
    ).fit(x.numpy(), y)
    (coefficients, intercept), _ = dual.logistic(x @ x.T, labels, PENALTY, each, [], steps=500)
    scores = (x @ x.T @ coefficients + intercept).softmax(1).numpy()
    np.testing.assert_allclose(scores, theirs.predict_proba(x.numpy()), atol=1e-3)


@HELD
def test_logistic_regression_says_what_a_fit_without_the_set_says(problem, held):
    x, kernel, labels, weights = problem
    _, left_out = dual.logistic(kernel, labels, PENALTY, weights, held, steps=2000)
    for rows in held:
        rest = rest_of(rows)
        theirs = LogisticRegression(C=1 / PENALTY, max_iter=5000, tol=1e-10)
        theirs.fit(x[rest].numpy(), labels[rest].argmax(1).numpy(), weights[rest].numpy())
        expected = theirs.predict_proba(x[rows].numpy())
        np.testing.assert_allclose(left_out[rows].softmax(1).numpy(), expected, atol=1e-3)


def test_the_usual_number_of_steps_is_enough(problem):
    _, kernel, labels, weights = problem
    kernel = kernel / F  # the members see directions, of length 1
    long, _ = dual.logistic(kernel, labels, 0.033, weights, [], steps=5000)
    short, _ = dual.logistic(kernel, labels, 0.033, weights, [])
    found, expected = ((kernel @ a + b).softmax(1) for a, b in (short, long))
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=0)


def _means(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.stack([x[labels[:, c] == 1].mean(0) for c in range(K)])
