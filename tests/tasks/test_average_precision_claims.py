"""Which claims are right: each true box is found once, by the surest claim."""

import numpy as np

from medshot.tasks.average_precision import judged

TRUE = np.array([[[0.1, 0.1, 0.3, 0.3, 0], [0.6, 0.6, 0.9, 0.9, 1], [-1.0, -1, -1, -1, -1]]])


def test_a_true_box_is_found_once_and_only_by_its_class():
    same = [0.1, 0.1, 0.3, 0.3]
    claims = np.array([[[*same, 0, 0.9], [*same, 0, 0.8], [*same, 1, 0.7], [*same, -1, 0.6]]])
    scores, labels, over, centred, counts = judged(claims, TRUE, 2)
    assert scores.tolist() == [[0.9, 0.8, 0.7]]
    assert labels.tolist() == [[0, 0, 1]]
    assert over.tolist() == centred.tolist() == [[True, False, False]]
    assert counts.tolist() == [[1, 1]]


def test_a_claim_of_another_size_has_its_centre_right_and_does_not_lie_over_the_box():
    claims = np.array([[[0.15, 0.15, 0.25, 0.25, 0, 0.9], [0.4, 0.4, 0.5, 0.5, 1, 0.8]]])
    over, centred = judged(claims, TRUE, 2)[2:4]
    assert over.tolist() == [[False, False]]
    assert centred.tolist() == [[True, False]]


def test_images_without_claims_or_boxes_are_judged_too():
    nothing = np.full((2, 4, 6), -1.0)
    scores, *_, counts = judged(nothing, np.full((2, 1, 5), -1.0), 3)
    assert scores.shape == (2, 0)
    assert counts.sum() == 0
