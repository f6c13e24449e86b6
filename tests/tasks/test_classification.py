"""Classification: which targets can teach it, its loss, its probabilities."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from medshot.core.errors import DataError
from medshot.tasks import Classification, one_hot
from medshot.tasks.classification import METRICS, accuracy, balanced_accuracy, macro_auroc, ranks


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


def _case(k: int, seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.concatenate(
        [np.arange(k), rng.choice(k, n - k, p=np.arange(1, k + 1) * 2 / k / (k + 1))]
    )
    p = rng.dirichlet(np.ones(k), n) + 0.3 * np.eye(k)[y]
    return p / p.sum(1, keepdims=True), y


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("k", [3, 4, 7])
def test_as_scikit_learn(k: int, seed: int) -> None:
    p, y = _case(k, seed)
    said = p.argmax(1)
    assert accuracy(p, y) == pytest.approx(accuracy_score(y, said))
    assert balanced_accuracy(p, y) == pytest.approx(balanced_accuracy_score(y, said))
    expected = roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert macro_auroc(p, y) == pytest.approx(expected)
    assert 1 / k < expected < 1


@pytest.mark.parametrize("seed", range(5))
def test_auroc_as_scikit_learn_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 4, (80, 3)) + 1.0
    p, y = whole / whole.sum(1, keepdims=True), rng.integers(0, 3, 80)
    assert len(np.unique(p[:, 0])) < 30
    expected = roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert macro_auroc(p, y) == pytest.approx(expected)


def test_of_two_classes_the_area_is_that_of_either() -> None:
    p, y = _case(2, 0)
    assert macro_auroc(p, y) == pytest.approx(roc_auc_score(y, p[:, 1]))


def test_ties_everywhere_are_chance() -> None:
    y = np.array([0, 0, 1, 2, 2])
    assert macro_auroc(np.full((5, 3), 1 / 3), y) == 0.5


def test_perfect_and_upside_down() -> None:
    y = np.array([0, 1, 2, 1])
    for name, metric in METRICS.items():
        assert metric(np.eye(3)[y], y) == 1, name
    assert macro_auroc((1 - np.eye(3)[y]) / 2, y) == 0
    assert accuracy((1 - np.eye(3)[y]) / 2, y) < 1


def test_the_majority_class_in_disguise() -> None:
    y = np.array([0] * 9 + [1])
    always = np.tile([0.9, 0.1], (10, 1))
    assert accuracy(always, y) == 0.9
    assert balanced_accuracy(always, y) == 0.5
    assert macro_auroc(always, y) == 0.5


def test_an_absent_class_has_no_area_and_no_share() -> None:
    p, y = _case(3, 1)
    kept = y < 2
    assert math.isnan(macro_auroc(p[kept], y[kept]))
    assert math.isnan(macro_auroc(p[y == 0], y[y == 0]))
    right = p[kept].argmax(1) == y[kept]
    expected = (right[y[kept] == 0].mean() + right[y[kept] == 1].mean()) / 2
    assert balanced_accuracy(p[kept], y[kept]) == pytest.approx(expected)


# Ranks against counting, column by column.


@pytest.mark.parametrize(("ties", "share"), [("average", 0.5), ("max", 1.0)])
def test_a_rank_counts_what_is_smaller_and_a_share_of_what_is_equal(ties, share):
    values = np.array([[3.0, 1.0], [1.0, 1.0], [3.0, 2.0], [0.0, 1.0]])
    for column, found in zip(values.T, ranks(values, ties=ties).T, strict=True):
        for value, rank in zip(column, found, strict=True):
            others = (column == value).sum() - 1
            assert rank == (column < value).sum() + 1 + share * others
