"""From a file to numbers at its own resolution, and back."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from medshot.core.errors import ConfigError
from medshot.data.transforms import NativePreprocessing, busiest, enlarged

RNG = np.random.default_rng(0)


def written(path: Path, pixels: np.ndarray) -> Path:
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey.png", RNG.integers(0, 256, (20, 30), dtype=np.uint8)),
        ("deep.png", RNG.integers(300, 40000, (20, 30)).astype(np.uint16)),
        ("float.tif", RNG.normal(size=(20, 30)).astype(np.float32)),
    ],
)
def test_a_grey_file_read_and_restored_is_what_it_was(tmp_path, channels, name, pixels):
    form, path = NativePreprocessing(channels=channels), written(tmp_path / name, pixels)
    values = form.read(path)
    assert values.shape == (channels, 20, 30)
    assert values.min() >= 0
    assert values.max() <= 1
    back = form.restore(values, path)
    assert back.dtype == pixels.dtype
    assert np.abs(back[:, :, 0].astype(float) - pixels).max() <= 1e-5 * np.ptp(pixels.astype(float))


def test_a_colour_file_keeps_its_colours_in_three_channels(tmp_path):
    pixels = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = written(tmp_path / "colour.png", pixels)
    form = NativePreprocessing()
    assert np.array_equal(form.restore(form.read(path), path), pixels)
    grey = NativePreprocessing(channels=1)
    expected = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    torch.testing.assert_close(grey.read(path)[0], torch.from_numpy(expected).float())
    assert grey.restore(grey.read(path), path).shape == (20, 30, 3)


def test_with_a_factor_the_image_is_enlarged(tmp_path):
    pixels = RNG.integers(300, 40000, (20, 30)).astype(np.uint16)
    path = written(tmp_path / "small.png", pixels)
    form = NativePreprocessing(channels=1, factor=2)
    assert form.grid(path) == (40, 60)
    assert form.read(path).shape == (1, 40, 60)
    assert form.restore(form.read(path), path).shape == (40, 60, 1)


def test_enlarging_keeps_where_things_are():
    ramp = np.linspace(0.2, 0.8, 20)[None, :, None].repeat(6, 0)
    found = enlarged(ramp, 2)[6, :, 0]
    expected = np.interp((np.arange(40) + 0.5) / 2 - 0.5, np.arange(20), ramp[0, :, 0])
    np.testing.assert_allclose(found[4:-4], expected[4:-4], atol=1e-6)


def test_the_square_is_where_most_is_to_be_seen():
    values = np.zeros((1, 100, 90))
    values[0, 70:, 60:] = RNG.normal(size=(30, 30))
    assert busiest(values, 30) == (slice(70, 100), slice(60, 90))
    assert busiest(values[:, :30, :30], 30) == (slice(0, 30), slice(0, 30))


def test_two_channels_are_refused():
    with pytest.raises(ConfigError, match="number of channels"):
        NativePreprocessing(channels=2)
