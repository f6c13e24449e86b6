"""Pixels as features of their sites."""

import torch

from medshot.nn import encoder


def test_the_features_are_the_pixels_on_their_grid():
    x = torch.rand(2, 3, 8, 8)
    made = encoder("intensities", size=8, scaling="unit")
    assert made.keeps_grid
    assert made.n_features == 3
    torch.testing.assert_close(made(x), x)
    scaled = encoder("intensities", size=8)(x)
    torch.testing.assert_close(scaled.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
