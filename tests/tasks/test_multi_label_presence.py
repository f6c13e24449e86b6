"""Scores of findings, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from medshot.tasks.multi_label import macro_auroc, macro_f1, mean_average_precision

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, (30, 3))
P = (0.3 * Y + RNG.uniform(0, 0.7, Y.shape)).round(1)  # with ties


def test_values_are_those_of_scikit_learn():
    assert macro_auroc(P, Y) == pytest.approx(roc_auc_score(Y, P, average="macro"))
    expected = average_precision_score(Y, P, average="macro")
    assert mean_average_precision(P, Y) == pytest.approx(expected)
    assert macro_f1(P, Y) == pytest.approx(f1_score(Y, P > 0.5, average="macro"))


def test_a_label_that_is_nowhere_has_no_rank():
    nowhere = Y * [1, 1, 0]
    assert np.isnan([macro_auroc(P, nowhere), mean_average_precision(P, nowhere)]).all()
    assert np.isnan(macro_auroc(P, 1 - nowhere))


def test_f1_leaves_out_what_is_neither_claimed_nor_true():
    p, y = P * [1, 1, 0], Y * [1, 1, 0]
    assert macro_f1(p, y) == pytest.approx(f1_score(y[:, :2], p[:, :2] > 0.5, average="macro"))
    assert macro_f1(np.zeros((2, 1)), np.zeros((2, 1), dtype=int)) == 1
