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


def test_only_the_first_blocks_halve_and_the_features_are_its_map():
    whole = toys.conv4(size=28, halvings=0)
    assert whole.map_shape == (8, 28, 28)
    encoder = toys.conv4(size=28, halvings=2)
    assert encoder.map_shape == (8, 7, 7)
    x = toys.images(2, size=28)
    maps = encoder.blocks(encoder.scaled(x))
    torch.testing.assert_close(encoder(x).unflatten(1, encoder.map_shape), maps)
    halving = [isinstance(block[2], nn.MaxPool2d) for block in encoder.blocks]
    assert halving == [True, True, False, False]


def test_without_halving_in_it_a_block_keeps_its_form_with_strides_too():
    encoder = toys.conv4(size=28, halve="stride", halvings=2)
    assert [block[0].stride for block in encoder.blocks] == [(2, 2), (2, 2), (1, 1), (1, 1)]
    assert encoder(toys.images(2, size=28)).shape == (2, 8 * 7 * 7)


def test_features_that_are_no_map_have_no_form():
    assert toys.conv4(read="mean").map_shape is None


@pytest.mark.parametrize("halvings", [-1, 5])
def test_there_are_four_blocks_to_halve_in(halvings):
    with pytest.raises(ConfigError, match=f"halvings is {halvings}, .* 0 to 4"):
        toys.conv4(halvings=halvings)


def test_fewer_halvings_leave_something_of_smaller_images():
    with pytest.raises(ConfigError, match=r"3 halvings.*4 pixels.*size=8"):
        toys.conv4(size=4, halvings=3)
    assert toys.conv4(size=4, halvings=2).map_shape == (8, 1, 1)
