"""The average of masks, whatever an image shows."""

import pytest
import torch

from medshot.core.episode import Examples
from medshot.learners import build
from medshot.nn.encoder import encoder
from medshot.tasks import Segmentation


def test_place_of_most_masks_is_marked_on_any_image():
    y = torch.zeros(6, 32, 32, dtype=torch.long)
    y[:5, 8:16, 8:16] = 1
    y[5, 20:, 20:] = 1
    found = adapted(Examples(torch.rand(6, 3, 32, 32), y))(torch.rand(2, 3, 64, 64)).argmax(1)
    assert found[:, 22:26, 22:26].all()  # twice as large
    assert not found[:, 50:, 50:].any()
    assert torch.equal(found[0], found[1])


def test_what_is_not_labeled_does_not_count():
    y = torch.full((2, 16, 16), -1)
    y[:, :, :8], y[:, 4:8, :8] = 0, 1
    found = adapted(Examples(torch.rand(2, 3, 16, 16), y), 16)(torch.rand(1, 3, 16, 16))
    assert found.isfinite().all()
    assert found.argmax(1)[0, 5:7].all()


def test_volumes_are_stretched_by_what_is_labeled():
    y = torch.full((1, 8, 12, 12), -1)
    y[0, :4], y[0, :4, 4:8, 4:8] = 0, 1
    learner = build("mean-mask", encoder=encoder("filters3d"))
    predictor = learner.adapt(Examples(torch.rand(1, 1, 8, 12, 12), y), Segmentation(2))
    found = predictor(torch.rand(1, 1, 10, 12, 12)).argmax(1)
    assert found[0, :, 5:7, 5:7].all()


def test_a_place_of_few_marks_is_marked_where_that_is_best_for_masks_left_out():
    """Of six masks, every one is one of three places: each is marked in a third of them."""
    y = torch.zeros(6, 32, 32, dtype=torch.long)
    for i in range(6):
        y[i, 8 * (i % 3) : 8 * (i % 3) + 8, 8:24] = 1
    found = adapted(Examples(torch.rand(6, 3, 32, 32), y))(torch.rand(1, 3, 32, 32)).argmax(1)
    assert found[0, 2:22, 10:22].all()
    assert not found[0, 26:].any()


@pytest.mark.parametrize("side", [16, 100])
def test_sides_that_are_no_multiple(side):
    y = torch.zeros(1, side, side, dtype=torch.long)
    y[:, : side // 2] = 1
    found = adapted(Examples(torch.rand(1, 3, side, side), y), side)(torch.rand(1, 3, side, side))
    assert (found.argmax(1) == y).float().mean() > 0.9


def adapted(support: Examples, side: int = 32):
    learner = build("mean-mask", encoder=encoder("filters", size=side))
    return learner.adapt(support, Segmentation(2))
