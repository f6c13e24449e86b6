"""Of a TIFF with a thumbnail, the one page that is no reduced copy is the image."""

import numpy as np
import pytest
import tifffile

from medshot.core.errors import DataError
from medshot.data.io.image import read_image
from toys.pictures import spot

GRAY = spot(0)[0]


@pytest.mark.parametrize("first", [True, False])
def test_the_thumbnail_is_passed_over(tmp_path, first):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        if first:
            file.write(GRAY[::4, ::4], subfiletype=1)
        file.write(GRAY)
        if not first:
            file.write(GRAY[::4, ::4], subfiletype=1)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, :, 0], GRAY)


def test_so_it_is_where_pillow_reads_the_page(tmp_path):
    colors = np.stack([np.arange(256) * 257, np.arange(256) * 100, np.arange(256) * 0])
    form = {"photometric": "palette", "colormap": colors.astype(np.uint16)}
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GRAY[::4, ::4], subfiletype=1, **form)
        file.write(GRAY, **form)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[:, :, 0], GRAY)


def test_two_images_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GRAY)
        file.write(GRAY)
        file.write(GRAY[::4, ::4], subfiletype=1)
    with pytest.raises(DataError, match="2 pages"):
        read_image(tmp_path / "a.tif")


def test_a_stack_of_imagej_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GRAY, GRAY + 1]), imagej=True)
    with pytest.raises(DataError, match="2 pages"):
        read_image(tmp_path / "a.tif")
