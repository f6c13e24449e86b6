"""A rescale that changes nothing changes nothing; whole numbers of 8 bits stay 8-bit."""

import numpy as np
import pytest

from medshot.data.io.image import decode, read_image
from toys.dicom import dicom, save
from toys.pictures import spot

GRAY = spot(0)[0]


def test_the_same_picture_with_and_without_it(tmp_path):
    plain = save(dicom(GRAY), tmp_path / "a.dcm")
    rescaled = save(dicom(GRAY, RescaleSlope=1, RescaleIntercept=0), tmp_path / "b.dcm")
    np.testing.assert_array_equal(decode(plain), decode(rescaled))
    assert decode(rescaled).dtype == np.uint8
    np.testing.assert_array_equal(read_image(rescaled)[:, :, 0], GRAY)


def test_whole_numbers_in_range_stay_8_bit(tmp_path):
    path = save(dicom(GRAY // 2, RescaleSlope=1, RescaleIntercept=20), tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_image(path)[:, :, 0], GRAY // 2 + 20)


def test_8_bits_stored_in_16_are_8_bit(tmp_path):
    made = dicom(GRAY.astype(np.uint16), BitsStored=8, HighBit=7)
    np.testing.assert_array_equal(read_image(save(made, tmp_path / "a.dcm"))[:, :, 0], GRAY)


@pytest.mark.parametrize("slope", [0.5, 3])
def test_others_are_windowed(tmp_path, slope):
    path = save(dicom(GRAY, RescaleSlope=slope, RescaleIntercept=0), tmp_path / "a.dcm")
    assert (read_image(path).min(), read_image(path).max()) == (0, 255)
