"""Box probe: ridge regressions against a slow solve, detection of disks, and bad input."""

import numpy as np
import pytest
import torch

from medshot.core.episode import Examples
from medshot.core.errors import DataError
from medshot.learners import build
from medshot.learners.closed_form.box_probe import (
    KEPT,
    USUAL,
    BoxProbe,
    Moments,
    calibration,
    folds_of,
    left_out,
    site_targets,
    with_flips,
)
from medshot.learners.two_stage import Boxes, linear
from medshot.nn import encoder
from medshot.tasks import Detection, Points
from medshot.tasks.boxes import NO_BOX
from toys import disks

FILTERS = {"channels": 1, "scales": [1.0, 2.0, 4.0]}


def _adapted(support: Examples, k: int = 1) -> Boxes:
    made = encoder("filters", size=support.x.shape[-1], **FILTERS)
    predictor = build("box-probe", encoder=made).adapt(support, Detection.of(k))
    assert isinstance(predictor, Boxes)
    return predictor


@pytest.mark.parametrize("n", [1, 4])
def test_dark_disks_are_found_among_bright_ones(n: int) -> None:
    scores = disks.scores(_adapted(disks.disks(n, seed=0)), disks.disks(6, seed=1))
    assert scores["AP50"] > 0.9
    assert scores["AP"] > 0.4
    assert scores["F1"] > 0.8  # the threshold, learned on what was left out, is right


@pytest.mark.parametrize("n", [1, 4])
def test_points_are_learned_as_boxes_are(n: int) -> None:
    support, query, task = disks.disks(n, seed=0), disks.disks(6, seed=1), Points.of(1)
    support.x[0, 0, :5, :5] = 0.15  # a disk that reaches out of the image
    support.y[0, 0, :4] = torch.tensor([-0.1, -0.1, 0.1, 0.1])
    made = encoder("filters", size=disks.SIDE, **FILTERS)
    predictor = build("box-probe", encoder=made).adapt(support, task)
    decoded = task.decode(predictor(query.x).double()).numpy()
    inputs = task.metric_inputs(decoded, query.y.numpy())
    assert task.metrics["AP"](*inputs) > 0.8


def test_what_is_written_scores_as_what_was_found() -> None:
    query = disks.disks(6, seed=2)
    decoded = disks.TASK.decode(_adapted(disks.disks(4, seed=0))(query.x).double()).numpy()
    written = np.where(decoded[..., 5:] >= 0.1, decoded, -1)
    found, kept = (
        disks.TASK.metrics["AP50"](*disks.TASK.metric_inputs(each, query.y.numpy()))
        for each in (decoded, written)
    )
    assert kept > found - 0.02


def test_the_moments_give_the_ridge_regression_without_a_fold() -> None:
    rng = torch.Generator().manual_seed(0)
    rows, wanted = torch.randn(30, 4, generator=rng).double(), torch.randn(30, 2).double()
    weight, fold = torch.rand(30, generator=rng).double(), torch.arange(30) % 3
    moments = Moments()
    moments.add(rows, wanted, weight, fold)
    x, y, w = rows[fold != 1], wanted[fold != 1], weight[fold != 1] / weight[fold != 1].sum()
    mean, goal = w @ x, w @ y
    scaled = (x - mean) / (w @ (x - mean).square()).sqrt()
    by_rows = scaled.mT * w
    solved = torch.linalg.solve(by_rows @ scaled + 0.5 * torch.eye(4), by_rows @ (y - goal))
    torch.testing.assert_close(linear(x, moments.solve(0.5, 1)), scaled @ solved + goal)
    everything = Moments()
    everything.add(rows, wanted, weight, torch.full((30,), KEPT))
    torch.testing.assert_close(moments.solve(0.5), everything.solve(0.5))


def test_the_targets_are_a_bell_and_the_way_to_the_center() -> None:
    boxes = torch.tensor([[0.2, 0.4, 0.6, 0.6, 1.0]])
    heat, geometry = site_targets(boxes, 2, 10, 20)
    assert heat[:, 0].max() == 0
    best = int(heat[:, 1].argmax())
    assert divmod(best, 20) in {(4, 7), (4, 8), (5, 7), (5, 8)}
    torch.testing.assert_close(geometry[best, :2], torch.tensor([0.4, 0.2]).log())
    site = torch.tensor([(best % 20 + 0.5) / 20, (best // 20 + 0.5) / 10])
    found = site + geometry[best, 2:] * torch.tensor([0.4, 0.2])
    torch.testing.assert_close(found, torch.tensor([0.4, 0.5]))


def test_folds_are_images_or_quadrants_and_no_class_is_left_out() -> None:
    two = torch.tensor([[[0.1, 0.1, 0.2, 0.2, 0]], [[0.6, 0.6, 0.8, 0.8, 0]]])
    assert folds_of(two, 4, 4, 1)[:, 0, 0].unique().numel() == 2
    quarters = folds_of(two.view(1, 2, 5), 4, 4, 1)[0]
    assert quarters[0, 0] != quarters[3, 3]
    alone = folds_of(two[:1], 4, 4, 1)[0]  # one image with one box: it stays
    assert alone[0, 0] == KEPT
    assert alone[3, 3] != KEPT


def test_flips_move_images_boxes_and_folds_alike() -> None:
    boxes = torch.tensor([[[0.25, 0.0, 0.5, 0.5, 0], [0.0, 0.0, 1.0, 1.0, NO_BOX]]])
    x, fold = torch.zeros(1, 1, 4, 8), torch.zeros(1, 4, 8).long()
    x[..., :2, 2:4], fold[:, :2, 2:4] = 1, 1
    images, turned, folds = with_flips(x, boxes, fold)
    assert len(images) == len(turned) == len(folds) == 4
    for image, each, where in zip(images, turned, folds, strict=True):
        xmin, ymin, xmax, ymax = (each[0, :4] * torch.tensor([8, 4, 8, 4])).long().tolist()
        assert image[0, ymin:ymax, xmin:xmax].sum() == image.sum() == 4
        assert torch.equal(where, image[0].long())
        assert each[1].tolist() == boxes[0, 1].tolist()
    assert len({tuple(each[0].tolist()) for each in turned}) == 4


def test_from_one_image_the_thresholds_are_the_usual_ones() -> None:
    cut = _adapted(disks.disks(1, seed=0)).get_buffer("cut")
    torch.testing.assert_close(cut, torch.tensor([USUAL[0]]))
    cut = _adapted(disks.disks(4, seed=0)).get_buffer("cut")
    assert (cut - USUAL[0]).abs().item() > 1e-3


def test_what_was_learned_does_not_calibrate() -> None:
    fold = torch.zeros(1, 4, 4).long()
    fold[:, :2] = KEPT
    boxes = torch.tensor([[[0.1, 0.1, 0.2, 0.2, 0], [0.6, 0.6, 0.8, 0.8, 0]]])
    assert left_out(boxes, fold)[0, :, 4].tolist() == [NO_BOX, 0]
    assert boxes[0, 0, 4] == 0  # a copy


def test_few_boxes_draw_thresholds_to_the_usual_ones() -> None:
    boxes = torch.tensor([[[0.1, 0.1, 0.2, 0.2, 0.0]]] * 20)
    right = (boxes[0, :, :4], torch.tensor([[0.8]]))
    wrong = (torch.tensor([[0.5, 0.5, 0.9, 0.9]]), torch.tensor([[0.4]]))
    cuts = [
        calibration([[right, wrong]] * n, boxes[:n], Detection.of(1))[0].item() for n in (2, 20)
    ]
    assert USUAL[0] < cuts[0] < cuts[1] < 0.8


def test_the_calibration_of_nothing_found_is_finite() -> None:
    nothing = [[(torch.zeros(0, 4), torch.zeros(0, 2))]]
    cut, gain = calibration(nothing, torch.tensor([[[0.1, 0.1, 0.2, 0.2, 0]]]), Detection.of(2))
    assert cut.isfinite().all()
    assert (gain > 0).all()


@pytest.mark.parametrize(
    "box", [[0.0, 0.0, 1.0, 1.0, 0], [0.5, 0.5, 0.501, 0.501, 0], [0.9, 0.0, 1.0, 0.1, 0]]
)
def test_one_box_on_one_image_is_enough_of_any_size_and_place(box: list[float]) -> None:
    support = Examples(disks.disks(1, seed=0).x, torch.tensor([[box]]))
    assert _adapted(support)(support.x).isfinite().all()


def test_images_without_boxes_a_rare_class_and_forty_classes() -> None:
    support = disks.disks(4, seed=0)
    support.y[1:, :, 4] = NO_BOX
    assert _adapted(support)(support.x).isfinite().all()
    support.y[0, 1, 4] = 1  # two classes of one box each
    assert _adapted(support, 2)(support.x).isfinite().all()
    many = disks.disks(20, seed=0)
    many.y[..., 4] = torch.arange(40).view(20, 2)
    output = _adapted(many, 40)(many.x[:1])
    assert output.shape[1] == 42
    assert output.isfinite().all()


def test_a_constant_image_and_a_box_out_of_the_image() -> None:
    support = disks.disks(1, seed=0)
    flat = Examples(torch.full_like(support.x, 0.5), support.y)
    assert _adapted(flat)(flat.x).isfinite().all()
    support.y[0, 0, 2] = 1.2
    with pytest.raises(DataError, match="fractions of the width"):
        _adapted(support)


def test_images_of_small_objects_are_enlarged() -> None:
    probe = build("box-probe", encoder=encoder("mobilenet-maps", size=64))
    assert isinstance(probe, BoxProbe)
    small = torch.tensor([[[0.1, 0.1, 0.2, 0.3, 0], [0.0, 0.0, 0.9, 0.9, NO_BOX]]])
    assert probe.zoom(small) == 1.5
    assert probe.zoom(torch.tensor([[[0.1, 0.1, 0.6, 0.7, 0]]])) == 1
    other = build("box-probe", encoder=encoder("filters", size=64))
    assert isinstance(other, BoxProbe)
    assert other.zoom(small) == 1
