"""Brightness and contrast, by their formulas."""

import numpy as np
import pytest

from medshot.data.corruptions import artifacts

RNG = np.random.default_rng(0)
IMAGE = np.linspace(0, 1, 48).reshape(3, 4, 4)


@pytest.mark.parametrize(("sign", "value"), [(1, 0.15), (-1, -0.15)])
def test_brighter_and_darker(sign, value):
    np.testing.assert_allclose(artifacts.brighter(IMAGE, 0.5, RNG, sign=sign), IMAGE + value)


@pytest.mark.parametrize(("sign", "factor"), [(1, 2.5), (-1, 0.3)])
def test_contrast_keeps_the_mean_and_scales_the_deviation(sign, factor):
    found = artifacts.contrast(IMAGE, 1.0, RNG, sign=sign)
    assert found.mean() == pytest.approx(IMAGE.mean())
    assert found.std() == pytest.approx(factor * IMAGE.std())


def test_a_cast_is_one_factor_a_channel():
    found = artifacts.cast(IMAGE + 0.1, 1.0, RNG) / (IMAGE + 0.1)
    assert np.ptp(found, axis=(1, 2)).max() < 1e-9
    np.testing.assert_allclose(np.abs(np.log(found)), 0.5)


def test_shading_is_one_in_the_middle_and_opposite_at_the_corners():
    flat = np.ones((1, 5, 5))
    found = artifacts.shading(flat, 1.0, RNG)[0]
    assert found[2, 2] == pytest.approx(1.0)
    assert found[0, 0] * found[-1, -1] == pytest.approx(1.0)
    assert found.max() > 1.2
