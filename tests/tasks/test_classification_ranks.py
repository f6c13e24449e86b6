"""Ranks against counting, column by column."""

import numpy as np
import pytest

from medshot.tasks.classification import ranks


@pytest.mark.parametrize(("ties", "share"), [("average", 0.5), ("max", 1.0)])
def test_a_rank_counts_what_is_smaller_and_a_share_of_what_is_equal(ties, share):
    values = np.array([[3.0, 1.0], [1.0, 1.0], [3.0, 2.0], [0.0, 1.0]])
    for column, found in zip(values.T, ranks(values, ties=ties).T, strict=True):
        for value, rank in zip(column, found, strict=True):
            others = (column == value).sum() - 1
            assert rank == (column < value).sum() + 1 + share * others
