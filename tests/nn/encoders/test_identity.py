"""Pixels: the image itself, flattened."""

import torch

import toys
from medshot.nn import Pixels


def test_features_are_the_intensities_in_order():
    x = toys.images(2, channels=3)
    features = Pixels(channels=3, size=toys.SIZE, scaling="unit")(x)
    torch.testing.assert_close(features, x.reshape(2, -1))


def test_blocks_are_averaged():
    x = toys.images(2)
    encoder = Pixels(channels=1, size=toys.SIZE, reduce=4, scaling="unit")
    slow = x.reshape(2, 4, 4, 4, 4).mean((2, 4)).reshape(2, -1)
    torch.testing.assert_close(encoder(x), slow)
    assert encoder.n_features == slow.shape[1] == 16


def test_it_has_a_type_though_it_has_no_weights():
    encoder = Pixels().double()
    assert list(encoder.parameters()) == []
    assert encoder.nothing.dtype == torch.float64
