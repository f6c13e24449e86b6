"""A window that cannot be used is none; one below 1 is exact. Neither is a damaged file."""

import numpy as np
import pytest

from medshot.data.io.image import read_image
from medshot.data.io.read_volume import read_volume
from toys.dicom import dicom, save, write_series
from toys.pictures import spot

VALUES = (spot(0)[0] * 4.0).astype(np.int16)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 40, "WindowWidth": 0},
        {"WindowCenter": ["", ""], "WindowWidth": ["", ""]},
        {"WindowCenter": 40, "WindowWidth": -5},
        {"WindowCenter": 40},
    ],
)
def test_percentiles_serve(tmp_path, window):
    plain = read_image(save(dicom(VALUES), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(
        read_image(save(dicom(VALUES, **window), tmp_path / "b.dcm")), plain
    )


def test_the_first_usable_of_several_is_used(tmp_path):
    one = save(dicom(VALUES, WindowCenter=400, WindowWidth=300), tmp_path / "a.dcm")
    two = save(dicom(VALUES, WindowCenter=[40, 400], WindowWidth=[0, 300]), tmp_path / "b.dcm")
    np.testing.assert_array_equal(read_image(one), read_image(two))


def test_a_width_below_1_is_exact(tmp_path):
    small = {"RescaleSlope": 0.0001, "RescaleIntercept": 0}
    path = save(dicom(VALUES, WindowCenter=0.05, WindowWidth=0.1, **small), tmp_path / "a.dcm")
    expected = np.rint(255 * (VALUES * 0.0001 / 0.1).clip(0, 1))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], expected)


def test_the_window_of_a_series(tmp_path):
    values = np.stack([VALUES, VALUES + 1])
    write_series(tmp_path / "a", values, WindowCenter=0.05, WindowWidth=0.1)
    assert read_volume(tmp_path / "a").window == pytest.approx((0.0, 0.1))
    write_series(tmp_path / "b", values, WindowCenter=40, WindowWidth=0)
    assert read_volume(tmp_path / "b").window is None
