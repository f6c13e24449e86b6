"""Orientation marks, and how much of an image's variance a mask explains."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from medshot.data.io.image import orientation_mark
from medshot.data.readers.orientation import explained_variance


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_mark_of_a_file(tmp_path, suffix):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("L", (4, 4)).save(tmp_path / f"a{suffix}", exif=exif)
    Image.new("L", (4, 4)).save(tmp_path / f"b{suffix}")
    assert orientation_mark(tmp_path / f"a{suffix}") == 6
    assert orientation_mark(tmp_path / f"b{suffix}") == 1


def test_no_mark_where_there_is_none_to_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(4, dtype=np.uint8), extratags=[(274, "H", 1, 8)])
    (tmp_path / "b.png").write_bytes(b"no image")
    marks = [orientation_mark(tmp_path / name) for name in ("a.tif", "b.png", "gone.png")]
    assert marks == [8, 1, 1]


def test_explained_variance_against_the_sum_of_squares(rng):
    pixels = rng.integers(0, 256, (9, 8, 3)).astype(np.uint8)
    mask = rng.integers(0, 3, (9, 8)).astype(np.uint8)
    gray = pixels.mean(2)
    between = sum((mask == c).sum() * (gray[mask == c].mean() - gray.mean()) ** 2 for c in range(3))
    expected = between / ((gray - gray.mean()) ** 2).sum()
    assert explained_variance(pixels, mask) == pytest.approx(expected)
    assert explained_variance(pixels * 0, mask) == 0
