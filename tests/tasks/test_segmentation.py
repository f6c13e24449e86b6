"""Segmentation: which masks can teach it, its loss against loops, unlabelled sites."""

import math

import pytest
import torch

from medshot.core.errors import DataError
from medshot.core.task import task_of
from medshot.tasks import Segmentation
from medshot.tasks.segmentation import soft_dice


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
