"""Boxes to maps and back, against a slow formula and themselves."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster

from medshot.tasks.boxes import (
    METRICS,
    MOST,
    NO_BOX,
    SPREAD,
    by_class,
    by_image,
    find,
    judged,
    mean_sizes,
    middles,
    paint,
    pairwise_iou,
    site_labels,
)

BOXES = torch.tensor(
    [
        [[0.1, 0.1, 0.4, 0.3, 0], [0.5, 0.5, 0.9, 0.8, 1], [0.6, 0.1, 0.7, 0.3, 0]],
        [[0.2, 0.6, 0.5, 0.9, 1], [-1.0, -1, -1, -1, -1], [-1.0, -1, -1, -1, -1]],
    ]
)


def test_heat_is_a_bell_as_wide_as_the_box_with_its_size_at_the_centre():
    heat, sizes = paint(BOXES, 2, (20, 40), torch.zeros(()))
    assert heat.shape == (2, 2, 20, 40)
    row, column = int(0.2 * 20), int(0.25 * 40)
    assert heat[0, 0, row, column] == 1
    away = math.exp(-((3 / (0.3 * 40 * SPREAD)) ** 2) / 2)
    assert heat[0, 0, row, column + 3] == pytest.approx(away, rel=1e-4)
    assert heat[1, 0].max() == 0
    torch.testing.assert_close(sizes[0, :, row, column], torch.tensor([0.3, 0.2]))


def test_what_is_painted_is_found_again():
    found = find(*paint(BOXES, 2, (64, 64), torch.zeros(())), least=0.5)
    assert found.shape == (2, MOST, 6)
    for claims, boxes in zip(found, BOXES, strict=True):
        real = boxes[boxes[:, 4] != NO_BOX]
        kept = claims[claims[:, 4] != NO_BOX]
        assert len(kept) == len(real)
        share = pairwise_iou(kept[:, :4], real[:, :4])
        assert (share.amax(0) > 0.8).all()
        assert (kept[share.argmax(0), 4] == real[:, 4]).all()


def test_of_boxes_that_overlap_the_best_of_each_class_is_kept():
    heat = torch.zeros(1, 2, 16, 16)
    heat[0, 0, 8, 6], heat[0, 0, 8, 8], heat[0, 1, 8, 6] = 0.7, 0.9, 0.6
    found = find(heat, torch.full((1, 2, 16, 16), 0.8), least=0.1)[0]
    assert found[:2, 5].tolist() == pytest.approx([0.9, 0.6])
    assert found[:3, 4].tolist() == [0, 1, NO_BOX]


def test_overlap_is_the_share_of_the_cells_that_are_in_both():
    a, b = torch.tensor([[0.0, 0.0, 0.5, 0.5]]), torch.tensor([[0.25, 0.0, 0.75, 1.0]])
    y, x = torch.meshgrid(*[torch.arange(100) / 100] * 2, indexing="ij")
    cells = [(x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3]) for box in (a[0], b[0])]
    expected = (cells[0] & cells[1]).sum() / (cells[0] | cells[1]).sum()
    assert pairwise_iou(a, b).item() == pytest.approx(expected.item(), abs=1e-6)


# What boxes say of sites, cell by cell.


TWO_BOXES = torch.tensor([[[0.0, 0.0, 0.5, 0.5, 1], [0.5, 0.5, 1.0, 1.0, 0], [-1, -1, -1, -1, -1]]])


def test_centres_rims_and_the_rest():
    where, label = site_labels(TWO_BOXES, 2, (8, 8))
    kinds = torch.full((64,), -1)
    kinds[where] = label
    expected = torch.full((8, 8), 4)
    expected[:4, :4], expected[4:, 4:] = 3, 2
    expected[2, 2], expected[6, 6] = 1, 0
    assert torch.equal(kinds.view(8, 8), expected)


def test_two_classes_with_one_centre_both_have_a_site():
    same = TWO_BOXES[:, :1].repeat(1, 2, 1)
    same[0, 1, 4] = 0
    where, label = site_labels(same, 2, (8, 8))
    assert where[label == 0].tolist() == where[label == 1].tolist() == [18]


def test_the_middles_of_boxes_and_their_mean_sizes():
    where, label = middles(TWO_BOXES, (8, 8))
    assert (where.tolist(), label.tolist()) == ([18, 54], [1, 0])
    torch.testing.assert_close(mean_sizes(TWO_BOXES, 2).exp(), torch.full((2, 2), 0.5))


# AP50 against faster-coco-eval, the others against counts made by hand.


SIDE = 1000


def scene(seed: int, n: int = 6, m: int = 12, d: int = 30, k: int = 2):
    """True boxes, and claims of which some lie near true ones."""
    rng = np.random.default_rng(seed)
    low, sides = rng.uniform(0, 0.7, (n, m, 2)), rng.uniform(0.05, 0.3, (n, m, 2))
    true = np.concatenate([low, low + sides, rng.integers(0, k, (n, m, 1))], 2)
    true[:, m - 3 :, 4] = -1
    near = true[:, rng.integers(0, m - 3, d)]
    claims = np.concatenate([near, rng.uniform(0, 1, (n, d, 1))], 2)
    claims[..., :4] += rng.normal(0, 0.03, (n, d, 4))
    claims[..., 2:4] = np.maximum(claims[..., 2:4], claims[..., :2] + 0.01)
    order = np.argsort(-claims[..., 5], axis=1)
    return np.take_along_axis(claims, order[..., None], 1), true


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ap50_and_ap_are_cocos(seed: int) -> None:
    claims, true = scene(seed)
    images = [{"id": i + 1, "width": SIDE, "height": SIDE} for i in range(len(true))]
    truth = COCO()
    truth.dataset = {
        "images": images,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": _listed(true),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        coco = COCOeval_faster(truth, truth.loadRes(_listed(claims)), "bbox")
        coco.params.iouThrs, coco.params.maxDets = np.linspace(0.5, 0.95, 10), [1, 10, 100]
        coco.evaluate()
        coco.accumulate()
    strict = coco.eval["precision"].reshape(10, 101, 2, 4, 3)[..., 0, 2]
    precision = strict[0]
    assert METRICS["AP"](*judged(claims, true, 2)) == pytest.approx(strict.mean(), abs=1e-6)
    found = METRICS["AP50"](*judged(claims, true, 2))
    assert 0.1 < found < 0.95
    assert found == pytest.approx(precision.mean(), abs=1e-6)
    alone = by_class(METRICS, *judged(claims, true, 2))["AP50"]
    np.testing.assert_allclose(alone, precision.mean(0), atol=1e-6)


def test_a_class_without_boxes_has_no_score_of_its_own() -> None:
    claims, true = scene(0, k=1)
    alone = by_class(METRICS, *judged(claims, true, 2))
    assert alone.keys() == METRICS.keys()
    for name, scores in alone.items():
        assert scores[0] == METRICS[name](*judged(claims, true, 1))
        assert np.isnan(scores[1])


def test_froc_counts_false_claims_an_image() -> None:
    scores = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]])
    hits = np.array([[True, False, True], [False, True, False]])
    labels, counts = np.zeros((2, 3), int), np.array([[3], [1]])
    # Two images: at most 0 (1/8, 1/4), 1 (1/2), 2 (1) and all (2, 4, 8) false claims.
    expected = np.mean([1, 1, 2, 3, 3, 3, 3]) / 4
    assert METRICS["FROC"](scores, labels, ~hits, hits, counts) == pytest.approx(expected)


def test_f1_is_that_of_the_claims_that_are_seen() -> None:
    scores = np.array([[0.9, 0.6, 0.2], [0.7, 0.1, 0.1]])
    over = np.array([[True, False, True], [True, False, False]])
    labels, counts = np.array([[0, 0, 0], [1, -1, -1]]), np.array([[2, 0], [0, 1]])
    found = METRICS["F1"](scores, labels, over, over, counts)
    assert found == pytest.approx((2 * 1 / (2 + 2) + 1) / 2)
    assert by_image(scores, labels, over, over, counts) == pytest.approx([2 / 4, 1])


def test_a_class_without_boxes_is_left_out_and_nothing_found_is_nothing() -> None:
    nothing = np.zeros((1, 0))
    evidence = nothing, nothing.astype(int), nothing > 0, nothing > 0, np.array([[2, 0]])
    strict = np.zeros((1, 0, 10), bool)
    assert [score(*evidence, strict) for score in METRICS.values()] == [0, 0, 0, 0]
    empty = *evidence[:4], np.array([[0, 0]]), strict
    assert all(np.isnan(score(*empty)) for score in METRICS.values())
    assert by_image(*empty) == pytest.approx([1])


def _listed(rows: np.ndarray) -> list[dict]:
    listed = [(i, row) for i, of in enumerate(rows, 1) for row in of if row[4] >= 0]
    return [
        {
            "id": number,
            "image_id": i,
            "category_id": int(row[4]) + 1,
            "bbox": [SIDE * row[0], SIDE * row[1], *(SIDE * (row[2:4] - row[:2]))],
            "area": SIDE**2 * (row[2] - row[0]) * (row[3] - row[1]),
            "iscrowd": 0,
            **({"score": row[5]} if len(row) == 6 else {}),
        }
        for number, (i, row) in enumerate(listed, 1)
    ]


# Which claims are right: each true box is found once, by the surest claim.


TRUE = np.array([[[0.1, 0.1, 0.3, 0.3, 0], [0.6, 0.6, 0.9, 0.9, 1], [-1.0, -1, -1, -1, -1]]])


def test_a_true_box_is_found_once_and_only_by_its_class():
    same = [0.1, 0.1, 0.3, 0.3]
    claims = np.array([[[*same, 0, 0.9], [*same, 0, 0.8], [*same, 1, 0.7], [*same, -1, 0.6]]])
    scores, labels, over, centred, counts, strict = judged(claims, TRUE, 2)
    assert scores[:, :3].tolist() == [[0.9, 0.8, 0.7]]
    assert labels[:, :3].tolist() == [[0, 0, 1]]
    assert (labels[:, 3:] == NO_BOX).all()
    assert over[:, :3].tolist() == centred[:, :3].tolist() == [[True, False, False]]
    assert strict[0, 0].all()
    assert not strict[0, 1:].any()
    assert counts.tolist() == [[1, 1]]


def test_a_claim_of_another_size_has_its_centre_right_and_does_not_lie_over_the_box():
    claims = np.array([[[0.15, 0.15, 0.25, 0.25, 0, 0.9], [0.4, 0.4, 0.5, 0.5, 1, 0.8]]])
    over, centred = judged(claims, TRUE, 2)[2:4]
    assert not over.any()
    assert centred[:, :2].tolist() == [[True, False]]


def test_images_without_claims_or_boxes_are_judged_too():
    nothing = np.full((2, 4, 6), -1.0)
    scores, labels, *_, counts, _ = judged(nothing, np.full((2, 1, 5), -1.0), 3)
    assert scores.shape == (2, MOST)  # always: folds are joined, whatever was found in each
    assert (labels == NO_BOX).all()
    assert counts.sum() == 0
