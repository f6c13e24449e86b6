"""What a report shows of findings."""

import numpy as np
import torch

import toys
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold
from medshot.presenters.scalar import (
    finding_examples,
    number_examples,
    scatter_of,
    support_of_findings,
    support_of_numbers,
    table_of_findings,
)
from medshot.tasks import MultiLabel, Regression

Y = torch.tensor([[1, 0], [0, 0], [1, 1], [0, 1]])
DATA = Dataset(
    **vars(toys.dataset(2, 2)) | {"y": Y, "labels": ("edema", "fracture"), "task": MultiLabel(2)}
)
P = np.array([[0.9, 0.1], [0.1, 0.2], [0.8, 0.4], [0.2, 0.9]])
ANSWERED = OutOfFold(P, Y.numpy(), np.arange(4), 2, MultiLabel(2), np.zeros(4, dtype=np.int64))


def test_the_support_is_shown_by_finding():
    shown = {label: len(images) for label, images in support_of_findings(DATA).by_label().items()}
    assert shown == {"edema": 2, "fracture": 2, "no finding": 1}


def test_each_finding_has_its_row():
    table = table_of_findings(DATA, ANSWERED)
    assert table.rows[0] == ("edema", "2", "1.000", "1.000", "1.000")
    assert table.rows[1] == ("fracture", "2", "1.000", "1.000", "0.667")
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_an_answer_is_wrong_if_one_finding_is():
    first, *others = finding_examples(DATA, ANSWERED)
    assert (first.truth, first.predicted, first.correct) == ("edema; fracture", "edema", False)
    assert all(other.correct for other in others)
    assert {other.truth for other in others} == {"edema", "no finding", "fracture"}


# What a report shows of numbers.


N = 30
NUMBERS = torch.arange(N, dtype=torch.float64)[:, None]
MEASURED = Dataset(
    **vars(toys.dataset(3, N // 3)) | {"y": NUMBERS, "labels": ("mm",), "task": Regression(1)}
)


def _answered(decoded: np.ndarray) -> OutOfFold:
    none = np.zeros(N, dtype=np.int64)
    return OutOfFold(decoded, NUMBERS.numpy(), np.arange(N), 5, Regression(1), none)


def test_the_support_is_shown_from_small_to_large():
    support = support_of_numbers(MEASURED)
    assert list(support.by_label()) == ["0 to 9", "10 to 19", "20 to 29"]
    assert support.goal == "to tell the number “mm”"
    assert support.n_images == N


def test_the_worst_answer_comes_first_and_is_neither_right_nor_wrong():
    decoded = NUMBERS.numpy().copy()
    decoded[7] = 100.0
    first, *others = number_examples(MEASURED, _answered(decoded))
    assert (first.truth, first.predicted, first.exact) == ("7", "100", False)
    assert len(others) == 11
    assert len({example.name for example in others}) == 11


def test_a_scatter_has_every_image():
    found = scatter_of(_answered(NUMBERS.numpy() + 1), "mm")
    assert (found.answer - found.truth == 1).all()
    assert len(found.truth) == N
