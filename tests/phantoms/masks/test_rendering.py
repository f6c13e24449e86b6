"""Cameras: blur, resolution and noise of the sizes that they say."""

from dataclasses import replace

import numpy as np
import pytest

from medshot.phantoms.masks.rendering import NOISES, Camera, draw_camera, response

SHARP = Camera(blur=1e-6, keep=1.0, noise="even", level=0.05, smooth=False)


def test_the_matrix_blurs_as_a_gaussian() -> None:
    from scipy import ndimage  # noqa: PLC0415

    line = np.zeros(128)
    line[64] = 1.0
    blurred = response(128, 2.0, 1.0) @ line
    assert blurred == pytest.approx(ndimage.gaussian_filter1d(line, 2.0, truncate=8), abs=1e-5)


@pytest.mark.parametrize("keep", [1.0, 0.7, 0.4])
def test_even_pictures_stay_and_a_ramp_stays_a_ramp(keep: float) -> None:
    matrix = response(96, 1.0, keep)
    assert np.allclose(matrix.sum(1), 1.0, atol=1e-5)
    ramp = np.arange(96.0)
    assert np.allclose((matrix @ ramp)[10:-10], ramp[10:-10], atol=0.6)


def test_thinning_removes_detail() -> None:
    stripes = np.tile([0.0, 1.0], 48)
    kept = {keep: (response(96, 1e-6, keep) @ stripes).std() for keep in (1.0, 0.8, 0.4)}
    assert kept[0.4] < kept[0.8] < kept[1.0] == pytest.approx(0.5)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("smooth", [False, True])
def test_noise_has_its_size(noise: str, smooth: bool) -> None:
    clean = np.full((1, 128, 128), 0.5, np.float32)
    camera = replace(SHARP, noise=noise, smooth=smooth, blur=1.0)
    recorded = [camera.record(clean, np.random.default_rng(seed)) for seed in range(4)]
    expected = {"speckle": 2.5 * 0.5, "photons": 1.5 * 0.5**0.5}.get(noise, 1.0) * 0.05
    assert np.mean([r.std() for r in recorded]) == pytest.approx(expected, rel=0.3)
    assert np.mean(recorded) == pytest.approx(0.5, abs=0.02)
    assert np.array_equal(recorded[0], camera.record(clean, np.random.default_rng(0)))


def test_volumes_are_blurred_along_every_axis() -> None:
    clean = np.zeros((1, 16, 20, 24), np.float32)
    clean[0, 8, 10, 12] = 1.0
    seen = replace(SHARP, blur=8.0, level=0.0).record(clean, np.random.default_rng(0))[0]
    assert seen.shape == (16, 20, 24)
    assert min(seen[9, 10, 12], seen[8, 11, 12], seen[8, 10, 13]) > 0.02


def test_cameras_differ() -> None:
    drawn = [draw_camera(np.random.default_rng(seed)) for seed in range(60)]
    assert {camera.noise for camera in drawn} == set(NOISES)
    assert {camera.smooth for camera in drawn} == {True, False}
    assert all(0.006 <= camera.level <= 0.08 for camera in drawn)
