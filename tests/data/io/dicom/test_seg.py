"""Segmentations refer to their series, are read back by highdicom and by us, and name nobody."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy import ndarray

from medshot.core.errors import DataError, SaveError
from medshot.data.io.read_volume import read_mask_volume, read_volume
from medshot.data.io.volume import Volume
from medshot.data.io.write import write_dicom_seg
from toys.dicom import FRAME, SECRETS, STUDY, enhanced, noise, save, write_series
from toys.volumes import affine_of, ramp, write_nii

VALUES = noise((6, 5, 4))
LABELS = ("background", "liver", "Läsion 2")
SAGITTAL = {"directions": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), "step": (1.5, 0, 0)}


def marked(image: Volume) -> ndarray:
    """Two classes on some slices, from what is seen, so that a turn would show."""
    mask = (image.values > 100).astype(np.uint8) + (image.values > 150)
    mask[0] = mask[-2:] = 0
    return mask


@pytest.mark.parametrize("form", [{}, SAGITTAL], ids=["axial", "sagittal"])
def test_each_frame_refers_to_the_slice_that_it_marks(tmp_path: Path, form: dict) -> None:
    files = write_series(tmp_path / "s", VALUES, **form)
    image = read_volume(tmp_path / "s")
    mask = marked(image)
    write_dicom_seg(mask, image, tmp_path / "seg.dcm", LABELS)
    found = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert (found.StudyInstanceUID, found.FrameOfReferenceUID) == (STUDY, FRAME)
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3"
    assert [s.SegmentLabel for s in found.SegmentSequence] == list(LABELS[1:])
    seen = 0
    slices = {header.SOPInstanceUID: header for header in map(pydicom.dcmread, files)}
    stored = image.grid.turn_back(mask).transpose(2, 1, 0)  # slice, row, column
    for i, frame in enumerate(found.PerFrameFunctionalGroupsSequence):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        original = slices[source.ReferencedSOPInstanceUID]
        x, y, z = original.ImagePositionPatient
        k = round(np.linalg.solve(image.grid.affine, (-x, -y, z, 1))[2])
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, original.ImagePositionPatient, atol=1e-4)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        np.testing.assert_array_equal(found.pixel_array[i], stored[k] == number)
        seen += int(found.pixel_array[i].sum())
    assert seen == np.count_nonzero(mask)
    np.testing.assert_array_equal(read_mask_volume(tmp_path / "seg.dcm", like=image), mask)


def test_of_a_file_of_frames(tmp_path: Path) -> None:
    image = read_volume(save(enhanced(), tmp_path / "a.dcm"))
    mask = (image.values > 200).astype(np.uint8)
    write_dicom_seg(mask, image, tmp_path / "seg.dcm", LABELS[:2])
    np.testing.assert_array_equal(read_mask_volume(tmp_path / "seg.dcm", like=image), mask)


@pytest.mark.parametrize("slices", [(), (3,)])
def test_nothing_or_one_slice_marked(tmp_path: Path, slices: tuple[int, ...]) -> None:
    write_series(tmp_path / "s", VALUES)
    image = read_volume(tmp_path / "s")
    mask = np.zeros(VALUES.shape, np.uint8)
    mask[list(slices), 1:3, 2] = 1
    write_dicom_seg(mask, image, tmp_path / "seg.dcm", LABELS)
    np.testing.assert_array_equal(read_mask_volume(tmp_path / "seg.dcm", like=image), mask)


@pytest.mark.parametrize("patient", [False, True])
def test_the_patient_is_named_only_where_that_is_asked_for(tmp_path: Path, patient: bool) -> None:
    write_series(tmp_path / "s", VALUES)
    image = read_volume(tmp_path / "s")
    write_dicom_seg(marked(image), image, tmp_path / "seg.dcm", LABELS, patient=patient)
    raw = (tmp_path / "seg.dcm").read_bytes()
    told = [secret for secret in SECRETS if secret.encode() in raw]
    assert told == (list(SECRETS[:4]) if patient else [])  # never the institution


def test_a_date_that_is_none_is_not_told(tmp_path: Path) -> None:
    write_series(tmp_path / "s", VALUES, PatientBirthDate="19340231")
    image = read_volume(tmp_path / "s")
    with pytest.raises(DataError, match="header says of the patient") as caught:
        write_dicom_seg(marked(image), image, tmp_path / "seg.dcm", LABELS, patient=True)
    assert "1934" not in str(caught.value)
    assert not (tmp_path / "seg.dcm").exists()


def test_another_series_is_named_as_such(tmp_path: Path) -> None:
    write_series(tmp_path / "s", VALUES)
    write_series(tmp_path / "coarse", VALUES, PixelSpacing=[0.7, 0.7])
    write_series(tmp_path / "short", VALUES[3:])
    image = read_volume(tmp_path / "s")
    write_dicom_seg(marked(image), image, tmp_path / "seg.dcm", LABELS)
    with pytest.raises(DataError, match=r"x 0\.5 mm.* x 0\.7 mm"):
        read_mask_volume(tmp_path / "seg.dcm", like=read_volume(tmp_path / "coarse"))
    with pytest.raises(DataError, match="shifted by 0, 0, 2 mm"):
        read_mask_volume(tmp_path / "seg.dcm", like=read_volume(tmp_path / "short"))
    with pytest.raises(DataError, match="is a segmentation"):
        read_volume(tmp_path / "seg.dcm")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "seg.dcm").read_bytes()[:-200])
    with pytest.raises(DataError, match="damaged or truncated"):
        read_mask_volume(tmp_path / "cut.dcm", like=image)


def test_what_is_not_written(tmp_path: Path) -> None:
    write_series(tmp_path / "s", VALUES)
    image = read_volume(tmp_path / "s")
    mask = marked(image)
    with pytest.raises(DataError, match=r"class 2.*background, liver"):
        write_dicom_seg(mask, image, tmp_path / "seg.dcm", LABELS[:2])
    with pytest.raises(DataError, match="no name for a DICOM file"):
        write_dicom_seg(mask, image, tmp_path / "seg.nii", LABELS)
    with pytest.raises(DataError, match="The mask has 5 x 5 x 4 voxels"):
        write_dicom_seg(mask[1:], image, tmp_path / "seg.dcm", LABELS)
    (tmp_path / "taken.dcm").write_bytes(b"x")
    with pytest.raises(SaveError, match="exists already"):
        write_dicom_seg(mask, image, tmp_path / "taken.dcm", LABELS)
    other = read_volume(write_nii(tmp_path / "x.nii", ramp(), affine_of("RAS")))
    with pytest.raises(DataError, match=r"DICOM files.*NIfTI"):
        write_dicom_seg(np.zeros(other.values.shape, int), other, tmp_path / "n.dcm", LABELS)


def test_of_a_real_series(tmp_path: Path, real_data: Path) -> None:
    image = read_volume(real_data / "vol_brain_dicom" / "images" / "t2")
    mask = (image.values > 600).astype(np.uint8)
    write_dicom_seg(mask, image, tmp_path / "seg.dcm", LABELS)
    np.testing.assert_array_equal(read_mask_volume(tmp_path / "seg.dcm", like=image), mask)
    found = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (found.PatientName, found.PatientID) == ("", "")
    assert len(found.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 22
