"""Classification: which targets can teach it, its loss, its probabilities."""

import math

import pytest
import torch

from medshot.core.errors import DataError
from medshot.tasks import Classification, one_hot


@pytest.mark.parametrize(
    ("k", "labels", "said"),
    [
        (1, [0, 0], "only one class"),
        (3, [0, 1], r"\[2\] have no image"),
        (4, [1, 2], r"\[0, 3\] have no image"),
        (2, [], r"\[0, 1\] have no image"),
        (2, [0, 1, 2], r"Label 2 is outside 0 \.\.\. 1"),
        (2, [-1, 0, 1], "Label -1 is outside"),
    ],
)
def test_targets_that_cannot_teach_are_refused(k, labels, said):
    with pytest.raises(DataError, match=said):
        Classification(k).check(torch.tensor(labels, dtype=torch.int64))


@pytest.mark.parametrize("target", [torch.tensor([0.0, 1.0]), torch.tensor([[0, 1], [1, 0]])])
def test_targets_that_are_no_class_numbers_are_refused(target):
    with pytest.raises(DataError, match="one class number an image"):
        Classification(2).check(target)


def test_targets_that_teach_pass():
    assert Classification(3).check(torch.tensor([2, 0, 1, 1])) is None


def test_loss_is_the_mean_of_minus_log_probability():
    output, target = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    task = Classification(3)
    slow = sum(
        math.log(sum(math.exp(v) for v in row)) - row[t]
        for row, t in zip(output.tolist(), target.tolist(), strict=True)
    )
    assert task.loss(output, target).item() == pytest.approx(slow / 5, rel=1e-5)
    probabilities = task.decode(output)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))
    picked = probabilities[torch.arange(5), target]
    torch.testing.assert_close(-picked.log().mean(), task.loss(output, target))


def test_rows_of_zero_and_one_are_of_the_type_asked_for():
    rows = one_hot(torch.tensor([1, 0]), 3, like=torch.zeros((), dtype=torch.float64))
    assert rows.dtype == torch.float64
    assert rows.tolist() == [[0, 1, 0], [1, 0, 0]]
