"""Numbers keep their unit; learners see them standardised by the support alone."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error as reference_error
from sklearn.metrics import r2_score

from medshot.core.errors import DataError
from medshot.core.task import task_of
from medshot.tasks import Regression
from medshot.tasks.regression import mean_absolute_error, r2, spearman

Y = torch.tensor([[10.0, 1.0], [20.0, 1.5], [60.0, 2.0]], dtype=torch.float64)


def test_fitted_takes_mean_and_deviation_of_what_it_is_given():
    task = Regression(2).fitted(Y)
    rows = task.encode(Y, like=torch.zeros(1))
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(rows.std(0, correction=0), torch.ones(2))
    torch.testing.assert_close(task.decode(task.encode(Y, like=Y)), Y)
    assert Regression(2).encode(Y, like=Y).equal(Y)


def test_numbers_that_do_not_differ_are_not_divided_by_nothing():
    task = Regression(1).fitted(torch.full((3, 1), 7.0, dtype=torch.float64))
    assert (task.centre, task.scale) == ((7.0,), (1.0,))


def test_large_numbers_keep_their_digits():
    y = torch.tensor([[1e9], [1e9 + 1]], dtype=torch.float64)
    rows = Regression(1).fitted(y).encode(y, like=torch.zeros(1))
    torch.testing.assert_close(rows, torch.tensor([[-1.0], [1.0]]))


def test_the_loss_is_the_squared_error_in_deviations():
    task = Regression(1, (10.0,), (2.0,))
    loss = task.loss(torch.tensor([[0.0], [1.0]]), torch.tensor([[12.0], [14.0]]).double())
    assert loss.item() == pytest.approx((1 + 1) / 2)


def test_what_is_fitted_can_be_made_again_from_a_file():
    task = Regression(1, (10.0,), (2.0,))
    assert task_of("regression", 1, centre=[10.0], scale=[2.0]) == task


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (torch.zeros(3, dtype=torch.int64), "of shape n 1"),
        (torch.zeros(3, 2), "of shape n 1"),
        (torch.tensor([[1.0], [float("nan")]]), "not finite"),
        (torch.tensor([[1.0], [1.0]]), "the same for all images"),
        (torch.tensor([[1.0]]), "the same for all images"),
        (torch.zeros(0, 1), "the same for all images"),
    ],
)
def test_what_cannot_be_learned_is_refused(target, words):
    with pytest.raises(DataError, match=words):
        Regression(1).check(target)


# Scores of numbers, against other libraries.


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
