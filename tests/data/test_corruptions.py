"""Degradations do to an image what their formulas say."""

import numpy as np
import pytest

from medshot.data import corruptions
from medshot.data.corruptions import (
    DEGRADATIONS,
    FAMILIES,
    GHOST_OFFSET,
    IMPULSES,
    degraded,
    impulses,
    motion,
)

RNG = np.random.default_rng(0)
IMAGE = RNG.random((2, 40, 48)) / 2 + 0.25
DETAILED = RNG.random((1, 48, 60))
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
    found = DEGRADATIONS[kind](FLAT, STRENGTH, np.random.default_rng(0))
    assert found.mean() == pytest.approx(mean, abs=2e-3)
    assert found.var() == pytest.approx(variance, rel=0.05)


def test_the_square_of_rician_noise_has_the_mean_of_its_formula():
    found = DEGRADATIONS["rician"](FLAT, STRENGTH, np.random.default_rng(0))
    assert (found**2).mean() == pytest.approx(LEVEL**2 + 2 * 0.1**2, rel=0.02)
    assert DEGRADATIONS["rician"](0 * FLAT, STRENGTH, np.random.default_rng(0)).mean() > 0.1


# As many wrong pixels as there should be, black or white in all channels.


def test_a_share_of_the_pixels_is_black_or_white():
    image = np.full((3, 100, 100), 0.5)
    found = impulses(image, 1.0, np.random.default_rng(0))
    wrong = (found != 0.5).all(0)
    assert (found != 0.5).any(0).sum() == wrong.sum()
    assert wrong.mean() == pytest.approx(IMPULSES, abs=0.02)
    assert set(np.unique(found[:, wrong])) == {0.0, 1.0}


# Detail that is lost, and means that stay.


@pytest.mark.parametrize("kind", sorted(FAMILIES["resolution"]))
def test_detail_goes_and_the_mean_stays(kind):
    weak, strong = (DEGRADATIONS[kind](DETAILED, strength, RNG) for strength in (0.3, 1.0))
    assert weak.shape == DETAILED.shape
    assert DETAILED.var() > weak.var() > strong.var()
    assert strong.mean() == pytest.approx(DETAILED.mean(), abs=0.02)


def test_coarse_pixels_are_means_of_those_that_they_stand_for():
    blocks = RNG.random((1, 12, 15)).repeat(4, 1).repeat(4, 2)
    found = DEGRADATIONS["coarse"](blocks, 1.0, RNG)
    # bicubic interpolation gives, at the middle of a block, nearly its value
    assert np.abs(found[0, 2::4, 2::4] - blocks[0, 2::4, 2::4]).mean() < 0.1
    ramp = np.linspace(0, 1, 48)[None, :, None].repeat(60, 2)
    np.testing.assert_allclose(
        DEGRADATIONS["coarse"](ramp, 1.0, RNG)[:, 8:-8], ramp[:, 8:-8], atol=1e-3
    )


@pytest.mark.parametrize(("strength", "factor"), [(0.3, 2), (0.6, 3), (1.0, 4)])
def test_all_three_factors_are_drawn(strength, factor):
    blocks = np.random.default_rng(0).random((1, 12, 15)).repeat(factor, 1).repeat(factor, 2)
    found = DEGRADATIONS["coarse"](blocks, strength, RNG)
    middle = factor // 2
    small = found[0, middle::factor, middle::factor]
    assert np.corrcoef(small.ravel(), blocks[0, ::factor, ::factor].ravel())[0, 1] > 0.9


# A moved point becomes a line; what is even stays.


def test_a_point_becomes_a_line_of_the_same_light():
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    found = motion(point, 1.0, np.random.default_rng(0))[0]
    np.testing.assert_allclose(found.sum(), 1)
    rows, columns = np.nonzero(found > 1e-9)
    spread = np.linalg.svd(np.stack([rows - 20.0, columns - 20.0]), compute_uv=False)
    assert spread[1] < 0.4 * spread[0]  # long one way, thin the other
    assert 5 < np.hypot(np.ptp(rows), np.ptp(columns)) < 12  # 0.15 of 41 pixels


def test_an_even_image_stays():
    flat = np.full((3, 16, 16), 0.4)
    np.testing.assert_allclose(motion(flat, 1.0, np.random.default_rng(0)), flat)


# Patterns of instruments and files.


def test_stripes_are_one_offset_a_row():
    added = DEGRADATIONS["stripes"](IMAGE, 1.0, RNG) - IMAGE
    assert np.ptp(added, axis=2).max() < 1e-12
    assert added[0].std() == pytest.approx(0.1, rel=0.4)


def test_a_ghost_is_a_faint_copy():
    dot = np.zeros((1, 20, 20))
    dot[0, 4, 7] = 1
    found = DEGRADATIONS["ghost"](dot, 1.0, RNG)
    assert found[0, 4, 7] == pytest.approx(0.6)
    assert found[0, 4 + GHOST_OFFSET, 7] == pytest.approx(0.4)
    assert np.count_nonzero(found) == 2


def test_compression_errs_the_more_the_stronger_it_is():
    errors = [np.abs(DEGRADATIONS["jpeg"](IMAGE, s, RNG) - IMAGE).mean() for s in (0.0, 0.5, 1.0)]
    assert 0 < errors[0] < errors[1] < errors[2]


def test_all_stays_in_range():
    found = degraded(np.round(IMAGE), "stripes", 1.0, RNG)
    assert found.min() >= 0
    assert found.max() <= 1


# Brightness and contrast, by their formulas.


RAMP = np.linspace(0, 1, 48).reshape(3, 4, 4)


@pytest.mark.parametrize(("sign", "value"), [(1, 0.15), (-1, -0.15)])
def test_brighter_and_darker(sign, value):
    np.testing.assert_allclose(corruptions.brighter(RAMP, 0.5, RNG, sign=sign), RAMP + value)


@pytest.mark.parametrize(("sign", "factor"), [(1, 2.5), (-1, 0.3)])
def test_contrast_keeps_the_mean_and_scales_the_deviation(sign, factor):
    found = corruptions.contrast(RAMP, 1.0, RNG, sign=sign)
    assert found.mean() == pytest.approx(RAMP.mean())
    assert found.std() == pytest.approx(factor * RAMP.std())


def test_a_cast_is_one_factor_a_channel():
    found = corruptions.cast(RAMP + 0.1, 1.0, RNG) / (RAMP + 0.1)
    assert np.ptp(found, axis=(1, 2)).max() < 1e-9
    np.testing.assert_allclose(np.abs(np.log(found)), 0.5)


def test_shading_is_one_in_the_middle_and_opposite_at_the_corners():
    flat = np.ones((1, 5, 5))
    found = corruptions.shading(flat, 1.0, RNG)[0]
    assert found[2, 2] == pytest.approx(1.0)
    assert found[0, 0] * found[-1, -1] == pytest.approx(1.0)
    assert found.max() > 1.2
