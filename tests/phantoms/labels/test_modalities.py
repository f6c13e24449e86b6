import numpy as np
import pytest

from medshot.phantoms.fields import Map, grid
from medshot.phantoms.labels import modalities
from medshot.phantoms.labels.modalities import KINDS, MODALITIES, to_pixels


def flat(value: float, size: int = 64) -> Map:
    return np.full((size, size), value, np.float32)


def two_streams(seed: int = 0) -> tuple[np.random.Generator, np.random.Generator]:
    return np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])


@pytest.mark.parametrize("name", MODALITIES)
def test_every_modality_gives_pixels(name: str) -> None:
    pixels = to_pixels(KINDS[name].acquire(flat(0.5), *two_streams()))
    assert pixels.shape == (3, 64, 64)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("name", MODALITIES)
def test_colour_is_for_cameras_only(name: str) -> None:
    red, green, blue = to_pixels(KINDS[name].acquire(flat(0.5), *two_streams()))
    grey_picture = np.array_equal(red, green) and np.array_equal(green, blue)
    assert grey_picture == (name not in {"dermoscopy", "histology"})


@pytest.mark.parametrize("name", MODALITIES)
def test_noise_is_new_in_each_picture_and_the_scanner_is_not(name: str) -> None:
    one, other = (
        KINDS[name].acquire(flat(0.5), np.random.default_rng(5), np.random.default_rng(noise))
        for noise in (1, 2)
    )
    assert float(np.abs(one - other).max()) > 0.02
    assert float(np.mean(one)) == pytest.approx(float(np.mean(other)), abs=0.03)


@pytest.mark.parametrize("name", MODALITIES)
def test_density_shows(name: str) -> None:
    """Dense tissue is bright in radiology and dark to a camera."""
    x, _ = grid(64)
    tissue = np.where(np.abs(x) < 0.2, 0.7, 0.35).astype(np.float32)
    image = KINDS[name].acquire(tissue, *two_streams())
    middle, side = image[..., 20:44, 28:36].mean(), image[..., 20:44, 14:22].mean()
    assert (middle > side) == (name not in {"dermoscopy", "histology"})


def test_ct_noise_lacks_low_frequencies() -> None:
    image = modalities.ct(flat(0.5, 128), *two_streams())
    power = np.abs(np.fft.rfft2(image - image.mean())) ** 2
    assert power[1:4, 1:4].mean() < 0.2 * power[15:30, 15:30].mean()


def test_mr_noise_lifts_the_background_as_rice_says() -> None:
    """With no signal the magnitude is Rayleigh distributed: mean over deviation is 1.91."""
    image = modalities.mr(flat(0.0), *two_streams())
    scanner, _ = two_streams()
    _ = scanner.uniform(), scanner.standard_normal((4, 4), dtype=np.float32)
    _ = scanner.uniform(), scanner.uniform()
    level, width = scanner.normal(0.5, 0.06), scanner.uniform(0.85, 1.35)
    magnitude = (image - 0.5) * width + level
    assert magnitude.min() > -1e-6
    assert magnitude.mean() / magnitude.std() == pytest.approx(1.91, abs=0.1)


def test_ultrasound_fades_with_depth_and_is_black_beyond_the_fan() -> None:
    image = np.mean([modalities.ultrasound(flat(0.5), *two_streams(i)) for i in range(5)], axis=0)
    assert image[8:20, 24:40].mean() > image[44:56, 24:40].mean()
    assert image[-1, [0, -1]].max() == 0.0


def test_xray_noise_grows_where_fewer_photons_pass() -> None:
    thin, thick = (modalities.xray(flat(value), *two_streams()) for value in (0.1, 0.9))
    assert thick.std() > 1.3 * thin.std()


def test_skin_is_red_and_stained_nuclei_are_blue() -> None:
    red, _, blue = modalities.dermoscopy(flat(0.3), *two_streams()).mean(axis=(1, 2))
    assert red > blue
    red, green, blue = modalities.histology(flat(0.9), *two_streams()).mean(axis=(1, 2))
    assert blue > red > green


def test_pixels_clip_and_round() -> None:
    pixels = to_pixels(np.array([[-1.0, 0.5], [1.0, 2.0]]))
    assert pixels[0].tolist() == [[0, 128], [255, 255]]
