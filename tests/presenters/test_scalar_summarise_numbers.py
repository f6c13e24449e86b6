"""What a report shows of numbers."""

import numpy as np
import torch

import toys
from medshot.data.dataset import Dataset
from medshot.evaluation.cross_validation import OutOfFold
from medshot.presenters.scalar import number_examples, scatter_of, support_of_numbers
from medshot.tasks import Regression

N = 30
Y = torch.arange(N, dtype=torch.float64)[:, None]
DATA = Dataset(**vars(toys.dataset(3, N // 3)) | {"y": Y, "labels": ("mm",), "task": Regression(1)})


def _answered(decoded: np.ndarray) -> OutOfFold:
    none = np.zeros(N, dtype=np.int64)
    return OutOfFold(decoded, Y.numpy(), np.arange(N), 5, Regression(1), none)


def test_the_support_is_shown_from_small_to_large():
    support = support_of_numbers(DATA)
    assert list(support.by_label()) == ["0 to 9", "10 to 19", "20 to 29"]
    assert support.goal == "to tell the number “mm”"
    assert support.n_images == N


def test_the_worst_answer_comes_first_and_is_neither_right_nor_wrong():
    decoded = Y.numpy().copy()
    decoded[7] = 100.0
    first, *others = number_examples(DATA, _answered(decoded))
    assert (first.truth, first.predicted, first.exact) == ("7", "100", False)
    assert len(others) == 11
    assert len({example.name for example in others}) == 11


def test_a_scatter_has_every_image():
    found = scatter_of(_answered(Y.numpy() + 1), "mm")
    assert (found.answer - found.truth == 1).all()
    assert len(found.truth) == N
