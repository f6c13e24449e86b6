"""Conv4 in the forms of its papers."""

import pytest
import torch
from torch import nn

import toys
from medshot.core.errors import ConfigError
from medshot.nn import Conv4


def test_with_pooling_and_flattening_it_is_that_of_snell():
    encoder = Conv4(channels=1, size=28, norm="batch")
    assert encoder.n_features == 64
    assert sum(p.numel() for p in encoder.parameters()) == 111_936  # 28 x 28, one channel
    assert Conv4(channels=3, size=84, norm="batch").n_features == 1600


def test_with_strides_and_the_mean_it_is_that_of_finn():
    encoder = Conv4(channels=1, size=28, halve="stride", read="mean")
    assert not any(isinstance(m, nn.MaxPool2d) for m in encoder.modules())
    assert encoder(toys.images(2, size=28)).shape == (2, 64)


def test_by_default_it_normalises_by_group_and_one_image_alone_gets_the_same_features():
    encoder = toys.conv4().train()
    assert any(isinstance(m, nn.GroupNorm) for m in encoder.modules())
    assert not encoder.transductive
    x = toys.images(4)
    torch.testing.assert_close(encoder(x[:1]), encoder(x)[:1])


@pytest.mark.parametrize("halve", ["pool", "stride"])
@pytest.mark.parametrize("read", ["flatten", "mean"])
@pytest.mark.parametrize("size", [16, 17, 31])
def test_features_are_as_many_as_it_says(halve, read, size):
    encoder = toys.conv4(size=size, halve=halve, read=read)
    assert encoder(toys.images(2, size=size)).shape == (2, encoder.n_features)


def test_images_too_small_to_halve_four_times_are_refused():
    with pytest.raises(ConfigError, match="leave nothing of 8 pixels"):
        toys.conv4(size=8)
    assert toys.conv4(size=8, halve="stride").n_features == 8
