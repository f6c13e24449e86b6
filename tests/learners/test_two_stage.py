"""Two-stage detector: pooled features, corners, and one box for one thing."""

import pytest
import torch

from medshot.learners import build
from medshot.learners.two_stage import (
    TINY,
    around_components,
    corners,
    dense,
    pooled,
    scored,
    usually_nested,
)
from medshot.nn import encoder
from medshot.tasks import Detection
from medshot.tasks.boxes import NO_BOX, pairwise_iou
from toys import disks


def test_pooled_features_are_those_in_the_box_and_their_contrast_to_the_rim() -> None:
    z = torch.zeros(1, 1, 40, 40)
    z[..., 10:30, 10:30] = 1
    found = pooled(z, torch.tensor([[0.25, 0.25, 0.75, 0.75]]), torch.ones(1, 1))[0]
    torch.testing.assert_close(found[:2], torch.ones(2))
    torch.testing.assert_close(found[2:4], torch.tensor([0.5, 0.5]).log())
    assert found[-1] == 1


def test_one_thing_has_one_box_of_one_class() -> None:
    support = disks.disks(4, seed=0)
    support.y[:, 1, 4] = 1  # two classes that look the same
    made = encoder("filters", size=disks.SIDE, channels=1, scales=[1.0, 2.0, 4.0])
    predictor = build("box-probe", encoder=made).adapt(support, Detection.of(2))
    decoded = Detection.of(2).decode(predictor(disks.disks(3, seed=1).x))
    for claims in decoded:
        real = claims[claims[:, 4] != NO_BOX]
        overlap = pairwise_iou(real[:, :4], real[:, :4]) - torch.eye(len(real))
        assert overlap.max() < 0.5  # 0.4, and positions are rounded to sites


def test_a_box_within_another_is_the_same_thing_unless_the_support_has_such_boxes() -> None:
    z = torch.zeros(1, 1, 8, 8)
    loose, tight, away = [0.1, 0.1, 0.7, 0.7], [0.2, 0.2, 0.4, 0.4], [0.75, 0.75, 0.9, 0.9]
    boxes = torch.tensor([[*box, 1.0] for box in (loose, tight, away)])
    score, shift = torch.zeros(8, 2), torch.zeros(8, 4)
    score[2] = torch.tensor([-1.0, -2.0])  # the smaller, the better
    for alone, left in ((torch.zeros(2, 2), 2), (torch.ones(2, 2), 3)):
        found, _ = scored(z, torch.zeros(1, 2, 8, 8), boxes, score, shift, alone.bool())
        assert len(found) == left
    torch.testing.assert_close(found[0], torch.tensor(away))


def test_nesting_is_usual_for_a_class_in_another_one_where_the_support_has_it() -> None:
    cup, disc = [0.4, 0.4, 0.6, 0.6, 0.0], [0.3, 0.3, 0.7, 0.7, 1.0]
    apart = [0.0, 0.0, 0.1, 0.1, 1.0]
    nested = usually_nested(
        torch.tensor([[cup, disc, apart], [cup, apart, [0, 0, 1, 1, NO_BOX]]]), 2
    )
    assert nested.tolist() == [[False, True], [False, False]]
    once = torch.tensor([[disc, [0.4, 0.4, 0.6, 0.6, 1.0], *[apart] * 40]])
    assert not usually_nested(once, 2).any()  # one of 42 is an exception
    assert usually_nested(once[:, :2], 2).tolist() == [[False, False], [False, True]]


def test_corners_stay_in_the_image_and_have_a_size() -> None:
    found = corners(torch.tensor([[0.0, 0.5], [1.4, 0.5]]), torch.tensor([[0.4, 0.0], [0.1, 0.2]]))
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[:, 2:] - found[:, :2] > 0).all()
    torch.testing.assert_close(found[0, 3] - found[0, 1], torch.tensor(TINY))


@pytest.mark.parametrize("value", [0.1, 0.9])
def test_components_of_the_right_sides_are_candidates_whether_bright_or_dark(value: float) -> None:
    image = 0.5 + 0.01 * torch.rand(60, 60).expand(3, 60, 60)
    image[:, 10:20, 5:20] = value
    image[:, 5:58, 50:58] = value  # too high
    limits = torch.tensor([[0.1, 0.1, -1, -1], [0.4, 0.4, 1, 1]])
    limits[:, :2] = limits[:, :2].log()
    found = around_components(image, limits)
    assert pairwise_iou(torch.tensor([[5, 10, 20, 20]]) / 60, found.float()).max() > 0.7
    assert ((found[:, 3] - found[:, 1]) <= 0.4 + 1e-6).all()
    assert not len(around_components(torch.zeros(3, 8, 8), limits))


def test_an_encoder_that_can_enlarges_its_images() -> None:
    maps = encoder("mobilenet-maps", size=64)
    x = torch.rand(1, 3, 64, 64)
    assert dense(maps, x, 1.5).shape[2:] == (24, 24)
    torch.testing.assert_close(dense(maps, x, 1.0), maps(x))
    filters = encoder("filters", size=64)
    torch.testing.assert_close(dense(filters, x, 1.5), filters(x))
