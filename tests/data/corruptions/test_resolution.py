"""Detail that is lost, and means that stay."""

import numpy as np
import pytest
from medshot.data.corruptions.resolution import KINDS, motion

RNG = np.random.default_rng(0)
IMAGE = RNG.random((1, 48, 60))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_detail_goes_and_the_mean_stays(kind):
    weak, strong = (KINDS[kind](IMAGE, strength, RNG) for strength in (0.3, 1.0))
    assert weak.shape == IMAGE.shape
    assert IMAGE.var() > weak.var() > strong.var()
    assert strong.mean() == pytest.approx(IMAGE.mean(), abs=0.02)


def test_coarse_pixels_are_means_of_those_that_they_stand_for():
    blocks = RNG.random((1, 12, 15)).repeat(4, 1).repeat(4, 2)
    found = KINDS["coarse"](blocks, 1.0, RNG)
    # bicubic interpolation gives, at the middle of a block, nearly its value
    assert np.abs(found[0, 2::4, 2::4] - blocks[0, 2::4, 2::4]).mean() < 0.1
    ramp = np.linspace(0, 1, 48)[None, :, None].repeat(60, 2)
    np.testing.assert_allclose(KINDS["coarse"](ramp, 1.0, RNG)[:, 8:-8], ramp[:, 8:-8], atol=1e-3)


@pytest.mark.parametrize(("strength", "factor"), [(0.3, 2), (0.6, 3), (1.0, 4)])
def test_all_three_factors_are_drawn(strength, factor):
    blocks = RNG.random((1, 4, 5)).repeat(factor, 1).repeat(factor, 2)
    found = KINDS["coarse"](blocks, strength, RNG)
    middle = factor // 2
    small = found[0, middle::factor, middle::factor]
    assert np.corrcoef(small.ravel(), blocks[0, ::factor, ::factor].ravel())[0, 1] > 0.95


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
