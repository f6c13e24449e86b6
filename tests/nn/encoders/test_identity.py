"""Pixels: the image itself, flattened."""

import torch

import toys
from medshot.nn import Pixels, encoder
from medshot.nn.encoders.identity import AsIs


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


# Features that are the image.


def test_features_are_the_image_of_any_size():
    x = torch.rand(2, 3, 17, 40)
    assert torch.equal(AsIs()(x), x)
    assert AsIs(channels=1).n_features == 1


# Pixels as features of their sites.


def test_the_features_are_the_pixels_on_their_grid():
    x = torch.rand(2, 3, 8, 8)
    made = encoder("intensities", size=8, scaling="unit")
    assert made.keeps_grid
    assert made.n_features == 3
    torch.testing.assert_close(made(x), x)
    scaled = encoder("intensities", size=8)(x)
    torch.testing.assert_close(scaled.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
