""""""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy import ndarray
from PIL import Image

from medshot.core.episode import Examples
from medshot.core.errors import ConfigError
from medshot.data.io.image import read_image
from medshot.data.transforms import (
    ImagePreprocessing,
    NativePreprocessing,
    busiest,
    enlarged,
    patches,
    unit,
)
from toys.files import Write


def triangle(n: int, m: int) -> ndarray:
    """Row i: the weights of the n old pixels in new pixel i, a triangle as wide as is due."""
    scale = n / m
    support = max(scale, 1.0)
    weights = np.zeros((m, n))
    for i in range(m):
        centre = (i + 0.5) * scale
        for j in range(n):
            weights[i, j] = max(0.0, 1 - abs(j + 0.5 - centre) / support)
        weights[i] /= weights[i].sum()
    return weights


@pytest.mark.parametrize("size", [5, 12, 20])
def test_bilinear_is_a_triangle_filter(write: Write, size: int) -> None:
    path = write("x.png", (12, 9))
    old = read_image(path)[:, :, 0].astype(float)
    expected = triangle(12, size) @ old @ triangle(9, size).T
    found = ImagePreprocessing(channels=1, size=size).pixels(path)
    assert found.shape == (1, size, size)
    assert np.abs(found[0] - expected).max() <= 1.01  # Pillow rounds after each axis


def test_nearest_takes_the_pixel_below_the_middle(write: Write) -> None:
    path = write("x.png", (15, 15))
    place = [int((i + 0.5) * 15 / 4) for i in range(4)]
    found = ImagePreprocessing(channels=1, size=4, resize="nearest").pixels(path)
    assert np.array_equal(found[0], read_image(path)[:, :, 0][np.ix_(place, place)])


def test_grey_to_colour_repeats_and_back_is_luminance(write: Write) -> None:
    grey, colour = write("g.png", (8, 8)), write("c.png", (8, 8, 3))
    three = ImagePreprocessing(channels=3, size=8).pixels(grey)
    assert np.array_equal(three, np.repeat(read_image(grey).transpose(2, 0, 1), 3, 0))
    one = ImagePreprocessing(channels=1, size=8).pixels(colour)[0]
    expected = read_image(colour) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(one - expected).max() <= 1


def test_reading_gives_numbers_up_to_one(write: Write) -> None:
    path = write("x.png")
    form = ImagePreprocessing(size=8)
    x = form.read(path)
    assert x.shape == (3, 8, 8)
    assert torch.equal(x, torch.from_numpy(form.pixels(path).copy()).float() / 255)
    assert unit(torch.tensor([[[0, 255]]], dtype=torch.uint8)).tolist() == [[[0.0, 1.0]]]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'bilinear'"):
        ImagePreprocessing(resize="bilinar")
    with pytest.raises(ConfigError, match="channels"):
        ImagePreprocessing(channels=2)


# From a file to numbers at its own resolution, and back.


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


# Large volumes are cut so that what is marked stays, and small ones are left alone.


def _volume(*sides: int, marked: tuple[int, ...] | None) -> Examples:
    y = torch.zeros(1, *sides, dtype=torch.int64)
    if marked:
        y[(0, *marked)] = 1
    return Examples(torch.rand(1, 1, *sides), y, torch.tensor([7]))


def test_small_volumes_are_left_alone():
    examples = _volume(8, 6, 4, marked=(1, 1, 1))
    assert patches(examples, side=8) is examples


def test_the_marked_part_is_kept_with_as_many_others_and_the_patient():
    examples = _volume(200, 20, 20, marked=(150, 3, 3))
    found = patches(examples, side=96)
    assert found.x.shape[2:] == (96, 20, 20)
    shows = (found.y > 0).flatten(1).any(1)
    assert 1 <= (~shows).sum() <= shows.sum()
    assert found.groups.tolist() == [7] * len(found)


def test_what_nobody_has_labelled_is_left_out():
    examples = _volume(192, 20, 20, marked=(3, 3, 3))
    examples.y[0, 96:] = -1
    found = patches(examples, side=96)
    assert ((found.y >= 0).flatten(1).any(1)).all()
