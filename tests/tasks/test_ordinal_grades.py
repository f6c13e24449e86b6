"""Scores of grades, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, mean_absolute_error

from medshot.tasks.ordinal import (
    balanced_accuracy,
    mean_error,
    median_grade,
    quadratic_weighted_kappa,
)

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 4, 40)
P = RNG.dirichlet(np.ones(4), 40) * 0.6 + 0.4 * np.eye(4)[Y]


def test_the_median_has_half_of_the_probability_on_either_side():
    slow = [next(c for c in range(4) if p[: c + 1].sum() >= 0.5) for p in P]
    assert median_grade(P).tolist() == slow


def test_values_are_those_of_scikit_learn():
    said = median_grade(P)
    assert 0.3 < (said == Y).mean() < 1
    kappa = cohen_kappa_score(Y, said, weights="quadratic")
    assert quadratic_weighted_kappa(P, Y) == pytest.approx(kappa)
    assert balanced_accuracy(P, Y) == pytest.approx(balanced_accuracy_score(Y, said))
    assert mean_error(P, Y) == pytest.approx(mean_absolute_error(Y, said))


def test_where_all_is_one_grade_there_is_no_kappa():
    assert np.isnan(quadratic_weighted_kappa(np.eye(4)[[1, 1]], np.array([1, 1])))
