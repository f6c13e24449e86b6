"""An adapter is a convolution of one pixel beside another, and is folded into its middle."""

import pytest
import torch
from torch import nn

from medshot.stages.finetune.methods import Adapter


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 6, 6)),
        (nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2)), torch.randn(2, 3, 7, 7)),
        (nn.Conv3d(3, 4, 3, padding=1), torch.randn(2, 3, 4, 5, 6)),
    ],
    ids=["square", "oblong-stride", "3d"],
)
def test_it_adds_what_a_convolution_of_one_pixel_gives(layer, x):
    (move,) = Adapter().moves([layer])
    assert torch.equal(move.change(layer.weight), layer.weight)
    nn.init.normal_(move.change.matrix)
    pixel = move.change.matrix.view(4, 3, *(1,) * (x.ndim - 2))
    convolve = torch.conv3d if x.ndim == 5 else torch.conv2d
    beside = convolve(x, pixel, None, layer.stride)
    found = convolve(x, move.change(layer.weight), layer.bias, layer.stride, layer.padding)
    torch.testing.assert_close(found, layer(x) + beside, rtol=1e-4, atol=1e-5)


def test_kernels_without_a_middle_or_of_one_pixel_get_none():
    layers = [nn.Conv2d(3, 4, 2), nn.Conv2d(3, 4, 1), nn.Linear(3, 4)]
    assert list(Adapter().moves(layers)) == []
