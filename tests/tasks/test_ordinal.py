"""Grades: questions whose answers together are one grade."""

from pathlib import Path

import pytest
import torch

import toys
from medshot.core.errors import DataError
from medshot.tasks import Ordinal

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
    found = Ordinal(3).answer(output, Path("x.png"), toys.card(4))
    assert found.label == "class 2"
    found = Ordinal(2).answer(torch.tensor([0.6, 0.35]).logit(), Path("x.png"), toys.card(3))
    assert found.label == "class 1"
    assert found.confidence == pytest.approx(0.25)  # and not 0, which has 0.4


def test_a_grade_without_an_image_is_refused():
    with pytest.raises(DataError, match=r"\[2\] have no image"):
        Ordinal(3).check(torch.tensor([0, 1, 3]))
    with pytest.raises(DataError, match=r"outside 0 \.\.\. 3"):
        Ordinal(3).check(torch.tensor([0, 1, 2, 3, 4]))
    with pytest.raises(DataError, match="one class number an image"):
        Ordinal(3).check(Y.float())
