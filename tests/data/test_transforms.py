from pathlib import Path

import numpy as np
import pytest
import torch
from numpy import ndarray

from medshot.core.errors import ConfigError
from medshot.data.io.image import read_image
from medshot.data.transforms import ImagePreprocessing, unit
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
