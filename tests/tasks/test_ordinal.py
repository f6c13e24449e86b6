"""Grades: questions whose answers together are one grade."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, mean_absolute_error

import toys
from medshot.core.errors import DataError
from medshot.tasks import Ordinal
from medshot.tasks.ordinal import (
    balanced_accuracy,
    mean_error,
    median_grade,
    quadratic_weighted_kappa,
)

Y = torch.tensor([0, 1, 2, 3])
ABOVE = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])


def test_a_target_is_encoded_as_what_it_is_above():
    assert Ordinal(3).encode(Y, like=torch.zeros(())).equal(ABOVE - 0.5)


def test_the_loss_is_the_logistic_loss_at_each_threshold():
    output = torch.randn(4, 3)
    slow = torch.log1p(torch.exp(-output * (2 * ABOVE - 1))).mean()
    torch.testing.assert_close(Ordinal(3).loss(output, Y), slow)


def test_probabilities_of_grades_are_differences_of_those_above():
    above = torch.tensor([[0.9, 0.6, 0.2]])
    found = Ordinal(3).decode(above.logit())
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.3, 0.4, 0.2]]))


def test_contradictions_are_sorted_out():
    found = Ordinal(3).decode(10 * torch.randn(50, 3))
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(50))


def test_the_answer_is_the_median_grade():
    output = torch.tensor([0.65, 0.55, 0.1]).logit()  # 0 alone is most probable after 2
    found = Ordinal(3).to_prediction(output, Path("x.png"), toys.card(4))
    assert found.label == "class 2"
    found = Ordinal(2).to_prediction(torch.tensor([0.6, 0.35]).logit(), Path("x.png"), toys.card(3))
    assert found.label == "class 1"
    assert found.confidence == pytest.approx(0.25)  # and not 0, which has 0.4


def test_a_grade_without_an_image_is_refused():
    with pytest.raises(DataError, match=r"\[2\] have no image"):
        Ordinal(3).check(torch.tensor([0, 1, 3]))
    with pytest.raises(DataError, match=r"outside 0 \.\.\. 3"):
        Ordinal(3).check(torch.tensor([0, 1, 2, 3, 4]))
    with pytest.raises(DataError, match="one class number an image"):
        Ordinal(3).check(Y.float())


# Scores of grades, against scikit-learn.


RNG = np.random.default_rng(0)
GRADES = RNG.integers(0, 4, 40)
P = RNG.dirichlet(np.ones(4), 40) * 0.6 + 0.4 * np.eye(4)[GRADES]


def test_the_median_has_half_of_the_probability_on_either_side():
    slow = [next(c for c in range(4) if p[: c + 1].sum() >= 0.5) for p in P]
    assert median_grade(P).tolist() == slow


def test_values_are_those_of_scikit_learn():
    said = median_grade(P)
    assert 0.3 < (said == GRADES).mean() < 1
    kappa = cohen_kappa_score(GRADES, said, weights="quadratic")
    assert quadratic_weighted_kappa(P, GRADES) == pytest.approx(kappa)
    assert balanced_accuracy(P, GRADES) == pytest.approx(balanced_accuracy_score(GRADES, said))
    assert mean_error(P, GRADES) == pytest.approx(mean_absolute_error(GRADES, said))


def test_where_all_is_one_grade_there_is_no_kappa():
    assert np.isnan(quadratic_weighted_kappa(np.eye(4)[[1, 1]], np.array([1, 1])))
