"""Scores of numbers, against other libraries."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error as reference_error
from sklearn.metrics import r2_score

from medshot.tasks.regression import mean_absolute_error, r2, spearman

RNG = np.random.default_rng(0)
TRUE = RNG.normal(size=(20, 2))
SAID = TRUE + RNG.normal(size=(20, 2)).round(1)


def test_values_are_those_of_other_libraries():
    assert r2(SAID, TRUE) == pytest.approx(r2_score(TRUE, SAID))
    ranks = [spearmanr(SAID[:, c], TRUE[:, c]).statistic for c in range(2)]
    assert spearman(SAID, TRUE) == pytest.approx(np.mean(ranks))
    assert mean_absolute_error(SAID, TRUE) == pytest.approx(reference_error(TRUE, SAID))


def test_the_mean_explains_nothing_and_orders_nothing():
    mean = np.broadcast_to(TRUE.mean(0), TRUE.shape)
    assert r2(mean, TRUE) == pytest.approx(0)
    assert spearman(mean, TRUE) == 0


def test_where_no_target_differs_there_is_no_score():
    same = np.ones((4, 1))
    assert np.isnan([r2(same, same), spearman(same, same)]).all()
