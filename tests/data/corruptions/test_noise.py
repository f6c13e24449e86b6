"""Noise has the mean and the variance that its formula says."""

import numpy as np
import pytest

from medshot.data.corruptions.noise import KINDS

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
