"""Noise has the mean and the variance that its formula says."""

import numpy as np
import pytest
from medshot.data.corruptions.noise import KINDS, MOST, impulses

LEVEL, STRENGTH = 0.4, 0.5
FLAT = np.full((1, 300, 300), LEVEL)


@pytest.mark.parametrize(
    ("kind", "mean", "variance"),
    [
        ("gaussian", LEVEL, 0.1**2),
        ("poisson", LEVEL, LEVEL * 0.1**2),
        ("speckle", LEVEL, (LEVEL * 0.2) ** 2),
    ],
)
def test_mean_and_variance(kind, mean, variance):
    found = KINDS[kind](FLAT, STRENGTH, np.random.default_rng(0))
    assert found.mean() == pytest.approx(mean, abs=2e-3)
    assert found.var() == pytest.approx(variance, rel=0.05)


def test_the_square_of_rician_noise_has_the_mean_of_its_formula():
    found = KINDS["rician"](FLAT, STRENGTH, np.random.default_rng(0))
    assert (found**2).mean() == pytest.approx(LEVEL**2 + 2 * 0.1**2, rel=0.02)
    assert KINDS["rician"](0 * FLAT, STRENGTH, np.random.default_rng(0)).mean() > 0.1


# As many wrong pixels as there should be, black or white in all channels.


def test_a_share_of_the_pixels_is_black_or_white():
    image = np.full((3, 100, 100), 0.5)
    found = impulses(image, 1.0, np.random.default_rng(0))
    wrong = (found != 0.5).all(0)
    assert (found != 0.5).any(0).sum() == wrong.sum()
    assert wrong.mean() == pytest.approx(MOST, abs=0.02)
    assert set(np.unique(found[:, wrong])) == {0.0, 1.0}
