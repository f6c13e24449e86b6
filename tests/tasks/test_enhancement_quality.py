"""PSNR and SSIM against scikit-image."""

import numpy as np
import pytest

from medshot.tasks.enhancement import METRICS, MOST, psnr, ssim

metrics = pytest.importorskip("skimage.metrics")
RNG = np.random.default_rng(0)
WANTED = RNG.random((3, 24, 31))
FOUND = (WANTED + 0.1 * RNG.normal(size=WANTED.shape)).clip(0, 1)


def test_psnr_is_that_of_another_library():
    expected = metrics.peak_signal_noise_ratio(WANTED, FOUND, data_range=1)
    assert psnr(FOUND, WANTED) == pytest.approx(expected)


def test_ssim_is_that_of_another_library():
    like = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = metrics.structural_similarity(WANTED, FOUND, data_range=1, channel_axis=0, **like)
    assert ssim(FOUND, WANTED) == pytest.approx(expected)


def test_the_same_image_has_the_most_that_there_is():
    assert psnr(WANTED, WANTED) == MOST
    assert ssim(WANTED, WANTED) == pytest.approx(1)


def test_constant_and_tiny_images_have_numbers():
    flat, small = np.full((1, 16, 16), 0.5), RNG.random((1, 4, 4))
    assert 0 <= ssim(flat, np.zeros_like(flat)) < 0.1
    assert ssim(small, small) == pytest.approx(1)
    assert psnr(flat, np.zeros_like(flat)) == pytest.approx(10 * np.log10(4))


def test_a_metric_is_the_mean_over_images():
    evidence = np.array([20.0, 30.0]), np.array([0.5, 0.7])
    assert [metric(*evidence) for metric in METRICS.values()] == pytest.approx([25.0, 0.6])
