"""Patterns of instruments and files."""

import numpy as np
import pytest
from medshot.data.corruptions.artifacts import APART, KINDS

from medshot.data.corruptions import artifacts, degraded

RNG = np.random.default_rng(0)
IMAGE = RNG.random((2, 40, 48)) / 2 + 0.25


def test_stripes_are_one_offset_a_row():
    added = KINDS["stripes"](IMAGE, 1.0, RNG) - IMAGE
    assert np.ptp(added, axis=2).max() < 1e-12
    assert added[0].std() == pytest.approx(0.1, rel=0.4)


def test_a_ghost_is_a_faint_copy():
    dot = np.zeros((1, 20, 20))
    dot[0, 4, 7] = 1
    found = KINDS["ghost"](dot, 1.0, RNG)
    assert found[0, 4, 7] == pytest.approx(0.6)
    assert found[0, 4 + APART, 7] == pytest.approx(0.4)
    assert np.count_nonzero(found) == 2


def test_compression_errs_the_more_the_stronger_it_is():
    errors = [np.abs(KINDS["jpeg"](IMAGE, s, RNG) - IMAGE).mean() for s in (0.0, 0.5, 1.0)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_all_stays_in_range():
    found = degraded(np.round(IMAGE), "stripes", 1.0, RNG)
    assert found.min() >= 0
    assert found.max() <= 1


# Brightness and contrast, by their formulas.


RAMP = np.linspace(0, 1, 48).reshape(3, 4, 4)


@pytest.mark.parametrize(("sign", "value"), [(1, 0.15), (-1, -0.15)])
def test_brighter_and_darker(sign, value):
    np.testing.assert_allclose(artifacts.brighter(RAMP, 0.5, RNG, sign=sign), RAMP + value)


@pytest.mark.parametrize(("sign", "factor"), [(1, 2.5), (-1, 0.3)])
def test_contrast_keeps_the_mean_and_scales_the_deviation(sign, factor):
    found = artifacts.contrast(RAMP, 1.0, RNG, sign=sign)
    assert found.mean() == pytest.approx(RAMP.mean())
    assert found.std() == pytest.approx(factor * RAMP.std())


def test_a_cast_is_one_factor_a_channel():
    found = artifacts.cast(RAMP + 0.1, 1.0, RNG) / (RAMP + 0.1)
    assert np.ptp(found, axis=(1, 2)).max() < 1e-9
    np.testing.assert_allclose(np.abs(np.log(found)), 0.5)


def test_shading_is_one_in_the_middle_and_opposite_at_the_corners():
    flat = np.ones((1, 5, 5))
    found = artifacts.shading(flat, 1.0, RNG)[0]
    assert found[2, 2] == pytest.approx(1.0)
    assert found[0, 0] * found[-1, -1] == pytest.approx(1.0)
    assert found.max() > 1.2
