"""A DICOM file without preamble is read by its content, with or without a suffix."""

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

import medshot
from medshot.data.io.image import read_image
from medshot.data.io.read_volume import read_volume
from medshot.data.io.registry import is_dicom
from toys.dicom import dicom, save, write_series
from toys.pictures import spot

VALUES = (spot(0)[0] * 4.0).astype(np.int16)


def strip(path, *, implicit=True):
    """Write the data set alone: no preamble, no group 2."""
    plain = Dataset()
    plain.update(pydicom.dcmread(path))
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, implicit
    write_dataset(file, plain)
    path.write_bytes(file.getvalue())
    return path


@pytest.mark.parametrize("implicit", [True, False])
def test_pixels_are_those_of_the_whole_file(tmp_path, implicit):
    path = save(dicom(VALUES, PixelPaddingValue=240), tmp_path / "a.dcm")
    whole = read_image(path)
    np.testing.assert_array_equal(read_image(strip(path, implicit=implicit)), whole)


def test_folders_of_them_are_checked_and_loaded(tmp_path):
    for label in "ab":
        for i in range(3):
            values = (spot(i, bright=label == "b")[0] * 4.0).astype(np.int16)
            strip(save(dicom(values, PatientID=f"{label}{i}"), tmp_path / label / f"IM{i}"))
    assert not [f for f in medshot.check(tmp_path).findings if f.severity == "error"]
    assert medshot.load(tmp_path).counts() == {"a": 3, "b": 3}


def test_a_series_of_them_is_a_volume(tmp_path):
    values = np.stack([VALUES, VALUES + 1, VALUES + 2])
    for path in write_series(tmp_path, values):
        strip(path)
    np.testing.assert_array_equal(read_volume(tmp_path).values, values)


@pytest.mark.parametrize(
    "start", [b"", b"\x08\x00", b"\x08\x00\x05\x00" + b"\xff" * 200, b"ab" * 99]
)
def test_other_bytes_are_no_dicom(tmp_path, start):
    (tmp_path / "a").write_bytes(start)
    assert not is_dicom(tmp_path / "a")
