"""The network that combines score maps."""

import pytest
import torch

from medshot.nn.mask_refiner import MaskRefiner, class_margins, support_numbers


@pytest.fixture
def untrained():
    torch.manual_seed(0)
    return MaskRefiner(members=2, n_features=3).eval()


def test_before_training_it_sums_the_margins(untrained):
    margins = torch.rand(2, 2, 32, 32)
    found = untrained(margins, torch.rand(2, 3, 32, 32), torch.zeros(2, 4))
    assert torch.allclose(found, margins.sum(1), atol=1e-6)


@pytest.mark.parametrize("sides", [(16, 16), (96, 96), (100, 60), (256, 256)])
def test_an_answer_a_pixel(untrained, sides):
    torch.nn.init.normal_(untrained.head.weight)
    found = untrained(torch.rand(1, 2, *sides), torch.rand(1, 3, *sides), torch.zeros(1, 4))
    assert found.shape == (1, *sides)
    assert found.isfinite().all()


def test_a_thin_line_of_a_large_image_stays_thin(untrained):
    margins = -torch.ones(1, 2, 256, 256)
    margins[..., 100] = 1
    found = untrained(margins, torch.zeros(1, 3, 256, 256), torch.zeros(1, 4)) > 0
    assert found[0, :, 100].all()
    assert found.float().mean() == pytest.approx(1 / 256)


def test_margin_is_against_the_best_other_class():
    scores = torch.tensor([0.2, 0.5, 0.9]).view(1, 1, 3, 1, 1)
    found = class_margins(scores).flatten()
    assert torch.allclose(found, torch.tensor([-0.4, 0.4]))


def test_numbers_of_a_support():
    dice = torch.tensor([[-1.0, -1.0], [0.3, 0.7]])
    found = support_numbers(4, torch.tensor([0.9, 0.1]), dice)
    assert torch.equal(found[:, 2:], dice)
    assert torch.allclose(found[:, 0], torch.tensor(0.5))
    assert found[0, 1] > found[1, 1]
