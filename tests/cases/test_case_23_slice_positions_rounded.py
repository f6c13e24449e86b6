"""A DICOM series whose slice positions were written with one decimal."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from highdicom.seg import Segmentation, SegmentDescription
from numpy import ndarray
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

import medshot
from toys.dicom import AXIAL, dicom, save

VALUES = np.random.default_rng(0).integers(900, 1300, (12, 10, 8)).astype(np.int16)
OBLIQUE = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)


def series(at: Path, step: ndarray, directions: tuple[float, ...] = AXIAL) -> Path:
    for k, pixels in enumerate(VALUES):
        place = [round(x, 1) for x in (np.array([-10, -20, 30]) + k * step).tolist()]
        more = {"ImagePositionPatient": place, "ImageOrientationPatient": list(directions)}
        save(dicom(pixels, InstanceNumber=k + 1, **more), at / f"{k:02d}.dcm")
    return at


def fitted(depths: list[float]) -> float:
    return float(np.polyfit(np.arange(len(depths)), depths, 1)[0])


@pytest.mark.parametrize("mm", [1.25, 0.625, 0.9765625, 0.75, 3.33])
def test_the_spacing_is_that_of_the_line(tmp_path: Path, mm: float) -> None:
    found = medshot.read_volume(series(tmp_path, np.array([0, 0, mm])))
    depths = [round(30 + mm * k, 1) for k in range(12)]
    assert found.spacing == pytest.approx((fitted(depths), 0.5, 0.5), rel=1e-9)
    assert found.spacing[0] == pytest.approx(mm, rel=0.01)
    np.testing.assert_array_equal(found.values, VALUES)


def test_it_lies_where_simpleitk_says_but_for_the_rounding(tmp_path: Path) -> None:
    found = medshot.read_volume(series(tmp_path, 1.25 * np.array([-0.6, 0.8, 0]), OBLIQUE))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(sorted(map(str, tmp_path.iterdir())))
    image = reader.Execute()
    for index in ((0, 0, 0), (7, 9, 11), (3, 4, 5)):
        ours = found.grid.affine @ (*index, 1)
        place = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(ours[:3] * (-1, -1, 1), place, atol=0.2)


def test_a_segmentation_of_it_is_read_back(tmp_path: Path) -> None:
    image = medshot.read_volume(series(tmp_path / "s", np.array([0, 0, 1.25])))
    mask = (image.values > 1100).astype(np.uint8)
    medshot.write_dicom_seg(mask, image, tmp_path / "seg.dcm", ["background", "lesion"])
    back = medshot.read_mask_volume(tmp_path / "seg.dcm", like=image)
    np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize("empty", [(), (0, 1, 2, 7)])
def test_a_segmentation_with_the_rounded_positions_is_read(
    tmp_path: Path, empty: tuple[int, ...]
) -> None:
    image = medshot.read_volume(series(tmp_path / "s", np.array([0, 0, 1.25])))
    mask = (image.values > 1150).astype(np.uint8)
    mask[list(empty)] = 0
    made = Segmentation(  # as another program writes it: the positions are those of the slices
        source_images=[pydicom.dcmread(path) for path in sorted((tmp_path / "s").iterdir())],
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[
            SegmentDescription(
                1, "x", codes.SCT.AnatomicalStructure, codes.SCT.Kidney, algorithm_type="MANUAL"
            )
        ],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    )
    made.save_as(tmp_path / "seg.dcm")
    back = medshot.read_mask_volume(tmp_path / "seg.dcm", like=image)
    np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize("k", [1, 5, 10])
@pytest.mark.parametrize("n", [12, 4])
def test_a_missing_slice_is_still_refused(tmp_path: Path, k: int, n: int) -> None:
    series(tmp_path, np.array([0, 0, 1.25]))
    for path in sorted(tmp_path.iterdir())[n:]:
        path.unlink()
    gone = tmp_path / f"{min(k, n - 2):02d}.dcm"
    gone.unlink()
    with pytest.raises(medshot.DataError, match="missing"):
        medshot.read_volume(tmp_path)


def test_a_step_that_changes_midway_is_refused(tmp_path: Path) -> None:
    for path in sorted(series(tmp_path, np.array([0, 0, 1.2])).iterdir())[6:]:
        one = pydicom.dcmread(path)
        one.ImagePositionPatient[2] += 0.3 * (int(path.stem) - 5)
        one.save_as(path)
    with pytest.raises(medshot.DataError, match="distance between slices"):
        medshot.read_volume(tmp_path)
