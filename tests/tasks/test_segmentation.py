"""Segmentation: which masks can teach it, its loss against loops, unlabelled sites."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score

from medshot.core.errors import DataError
from medshot.core.task import task_of
from medshot.tasks import Segmentation
from medshot.tasks.segmentation import (
    by_image,
    dice,
    intersection_over_union,
    mean_surface_distance,
    overlap_counts,
    soft_dice,
    surface_distances,
)


def _masks(*values: int) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, -1)


@pytest.mark.parametrize(
    ("k", "masks", "said"),
    [
        (1, _masks(0, 0), "only one class"),
        (2, _masks(0, 0, -1), r"\[1\] are in no mask"),
        (2, _masks(-1, -1), r"\[0, 1\] are in no mask"),
        (2, _masks(0, 1, 2), r"holds 2, which is outside 0 \.\.\. 1"),
        (2, _masks(0, 1, -2), "holds -2"),
        (2, torch.zeros(2, 3), "a class number a pixel"),
        (2, torch.tensor([0, 1]), "a class number a pixel"),
    ],
)
def test_masks_that_cannot_teach_are_refused(k, masks, said):
    with pytest.raises(DataError, match=said):
        Segmentation(k).check(masks)


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 3, 4, 4)])
def test_masks_of_images_and_of_volumes_teach(shape):
    masks = torch.zeros(shape, dtype=torch.int64)
    masks[0, ..., 1] = 1
    masks[1] = -1
    assert Segmentation(2).check(masks) is None


def test_loss_is_cross_entropy_and_dice_over_the_labelled_sites():
    output, target = torch.randn(2, 3, 2, 2), torch.tensor([[[0, 1], [2, -1]], [[1, -1], [0, 0]]])
    entropies, both, sums = [], [0.0] * 3, [0.0] * 3
    for image in range(2):
        for row in range(2):
            for column in range(2):
                c = int(target[image, row, column])
                if c < 0:
                    continue
                odds = [math.exp(v) for v in output[image, :, row, column].tolist()]
                p = [o / sum(odds) for o in odds]
                entropies.append(-math.log(p[c]))
                both[c] += p[c]
                sums[c] += 1
                for k in range(3):
                    sums[k] += p[k]
    dice = sum((2 * b + 1) / (s + 1) for b, s in zip(both, sums, strict=True)) / 3
    expected = sum(entropies) / len(entropies) + 1 - dice
    assert Segmentation(3).loss(output, target).item() == pytest.approx(expected, rel=1e-5)


def test_what_is_not_labelled_has_no_gradient():
    output = torch.randn(1, 2, 1, 3, requires_grad=True)
    Segmentation(2).loss(output, _masks(0, 1, -1)).backward()
    assert not output.grad[..., 2].any()
    assert output.grad[..., 0].any()


def test_a_class_that_is_nowhere_and_not_claimed_is_right():
    sure = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    target = torch.zeros(1, 1, 1, dtype=torch.int64)
    assert soft_dice(sure, target, target >= 0).item() == pytest.approx(1.0)


def test_answers_are_the_most_probable_class_of_every_site():
    task, output = task_of("segmentation", 3), torch.randn(2, 3, 4, 5)
    assert isinstance(task, Segmentation)
    torch.testing.assert_close(task.decode(output).sum(1), torch.ones(2, 4, 5))


# Overlap of masks, against counts made by hand and scikit-learn.


TRUTH = np.array([[0, 0, 1, 1], [0, 0, 0, 0], [0, 1, 2, 2]])
CLAIM = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [0, 1, 2, 0]])


def test_a_class_that_is_nowhere_is_left_out_of_the_mean_of_its_image() -> None:
    counts = overlap_counts(CLAIM, TRUTH, 3)
    assert by_image(*counts) == pytest.approx([0.5, 1, (1 + 2 / 3) / 2])
    assert dice(*counts) == pytest.approx((0.5 + 1 + 5 / 6) / 3)
    assert intersection_over_union(*counts) == pytest.approx((1 / 3 + 1 + (1 + 1 / 2) / 2) / 3)


def test_a_class_claimed_where_it_is_not_has_overlap_zero() -> None:
    assert dice(*overlap_counts(np.array([[1, 0]]), np.array([[0, 0]]), 2)) == 0


def test_sites_that_nobody_has_labelled_are_not_judged() -> None:
    counts = overlap_counts(np.array([[1, 1, 0]]), np.array([[1, -1, 0]]), 2)
    assert dice(*counts) == 1


def test_to_claim_nothing_where_nothing_is_marked_is_right() -> None:
    assert dice(*overlap_counts(np.zeros((2, 4), int), np.zeros((2, 4), int), 2)) == 1


def test_it_is_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(0)
    truth, claim = rng.integers(0, 3, (2, 1, 60))
    counts = overlap_counts(claim, truth, 3)
    options = {"labels": [1, 2], "average": "macro"}
    assert dice(*counts) == pytest.approx(f1_score(truth[0], claim[0], **options))
    assert intersection_over_union(*counts) == pytest.approx(
        jaccard_score(truth[0], claim[0], **options)
    )


# Distances of borders, against all pairs of sites.


SPACING = (2.0, 1.0, 0.5)


def _border(mask: np.ndarray) -> np.ndarray:
    """Sites of a mask with a neighbour, or the end of the volume, outside of it; in mm."""
    padded = np.pad(mask, 1)
    inner = np.ones_like(mask)
    for axis in range(mask.ndim):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)[(slice(1, -1),) * mask.ndim]
    return np.argwhere(mask & ~inner) * SPACING


def test_distances_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    claim, truth = rng.integers(0, 3, (2, 2, 5, 6, 7))
    found = surface_distances(claim, truth, 3, SPACING)
    for i in range(2):
        for c in (1, 2):
            apart = cdist(_border(claim[i] == c), _border(truth[i] == c))
            slow = np.concatenate([apart.min(0), apart.min(1)]).mean()
            assert found[i, c] == pytest.approx(slow)
    assert np.isnan(found[:, 0]).all()


def test_a_shifted_box_is_as_far_as_it_was_shifted_along_that_axis():
    truth = np.zeros((1, 9, 9, 9), np.int64)
    truth[0, 2:5] = 1
    found = surface_distances(np.roll(truth, 1, axis=1), truth, 2, SPACING)
    assert 0 < found[0, 1] <= SPACING[0]


def test_what_is_missing_has_no_distance():
    truth = np.ones((1, 3, 3, 3), np.int64)
    found = surface_distances(np.zeros_like(truth), truth, 2, SPACING)
    assert np.isnan(found).all()
    assert np.isnan(mean_surface_distance(found, found, found, found))


def test_a_task_of_known_spacing_measures_it_and_is_read_back():
    task = Segmentation(2, SPACING)
    assert list(task.metrics) == ["Dice", "IoU", "mean surface distance (mm)"]
    assert list(Segmentation(2).metrics) == ["Dice", "IoU"]
    assert task_of("segmentation", 2, spacing=list(SPACING)) == task
    y = torch.zeros(2, 4, 4, 4, dtype=torch.int64)
    y[:, 1:3, 1:3, 1:3] = 1
    output = torch.nn.functional.one_hot(y, 2).movedim(-1, 1).double()
    evidence = task.metric_inputs(task.decode(output).numpy(), y.numpy())
    scores = {metric: score(*evidence) for metric, score in task.metrics.items()}
    assert scores == {"Dice": 1.0, "IoU": 1.0, "mean surface distance (mm)": 0.0}


def test_classes_are_numbered_anew_by_the_numbers_that_they_are_named_after():
    task, known = Segmentation(3), ("background", "1", "2", "4")
    found = task.renumber(_masks(0, 1, 2, -1), ("background", "1", "4"), known)
    assert found.flatten().tolist() == [0, 1, 3, -1]
    stored = _masks(0, 1).byte()
    found = Segmentation(2).renumber(stored, ("background", "4"), known)
    assert (found.flatten().tolist(), found.dtype) == ([0, 3], torch.uint8)
    assert task.renumber(stored, ("background", "foreground"), known) is stored
    with pytest.raises(DataError, match="numbers 17, and the model knows 4 classes"):
        task.renumber(stored, ("background", "17"), known)


def test_classes_with_names_are_numbered_by_name():
    task, wanted = Segmentation(3), ("background", "liver", "spleen")
    masks = _masks(0, 1, -1)
    found = task.renumber(masks, ("background", "spleen"), wanted)
    assert found.flatten().tolist() == [0, 2, -1]
    assert task.renumber(masks, ("background", "foreground"), wanted) is masks
    assert task.renumber(masks, ("background", "liver"), ("background", "foreground")) is masks
    with pytest.raises(DataError, match="kidney"):
        task.renumber(masks, ("background", "kidney"), wanted)


def test_masks_without_background_are_said_as_such():
    with pytest.raises(DataError, match="0, which is background"):
        Segmentation(2).check(_masks(1, 1))
