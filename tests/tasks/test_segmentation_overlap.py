"""Overlap of masks, against counts made by hand and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from medshot.tasks.segmentation import by_image, dice, intersection_over_union, overlaps

TRUTH = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 2]])
CLAIM = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 2, 0]])


def test_a_class_that_is_nowhere_is_left_out_of_the_mean_of_its_image() -> None:
    counts = overlaps(CLAIM, TRUTH, 3)
    assert by_image(*counts) == pytest.approx([0.5, 1, (1 + 2 / 3) / 2])
    assert dice(*counts) == pytest.approx((0.5 + 1 + 5 / 6) / 3)
    assert intersection_over_union(*counts) == pytest.approx((1 / 3 + 1 + (1 + 1 / 2) / 2) / 3)


def test_a_class_claimed_where_it_is_not_has_overlap_zero() -> None:
    assert dice(*overlaps(np.array([[1, 0]]), np.array([[0, 0]]), 2)) == 0


def test_sites_that_nobody_has_labelled_are_not_judged() -> None:
    counts = overlaps(np.array([[1, 1, 0]]), np.array([[1, -1, 0]]), 2)
    assert dice(*counts) == 1


def test_to_claim_nothing_where_nothing_is_marked_is_right() -> None:
    assert dice(*overlaps(np.zeros((2, 4), int), np.zeros((2, 4), int), 2)) == 1


def test_it_is_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    truth, claim = rng.integers(0, 3, (2, 1, 60))
    counts = overlaps(claim, truth, 3)
    options = {"labels": [1, 2], "average": "macro"}
    assert dice(*counts) == pytest.approx(f1_score(truth[0], claim[0], **options))
    assert intersection_over_union(*counts) == pytest.approx(
        jaccard_score(truth[0], claim[0], **options)
    )
