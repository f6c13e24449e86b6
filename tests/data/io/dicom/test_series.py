"""A folder of slices as a volume, against highdicom and against a slow formula."""

import shutil
from collections.abc import Callable
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from numpy import ndarray
from pydicom import Dataset

from medshot.core.errors import DataError
from medshot.data.io.dicom.series import series_summary
from medshot.data.io.read_volume import read_volume
from medshot.data.io.write import write_nifti_mask
from toys.dicom import FRAMES, SECRETS, dicom, enhanced, noise, save, write_series

VALUES = noise((6, 5, 4))
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def oracle(folder: Path) -> tuple[ndarray, ndarray]:
    """Values and affine (index slice, row, column to mm in RAS) by highdicom."""
    files = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    found = highdicom.get_volume_from_series(files)
    return found.array, np.diag([-1, -1, 1, 1]) @ found.affine


def at(values: ndarray, affine: ndarray, places: ndarray, shape: tuple[int, ...]) -> ndarray:
    """What `values` are at every voxel of another grid, walked by its indices."""
    index = np.stack([*np.indices(shape).reshape(3, -1), np.ones(int(np.prod(shape)))])
    ours = np.linalg.solve(affine, places @ index)[:3]
    assert np.abs(ours - np.rint(ours)).max() < 1e-2
    return values[tuple(np.rint(ours).astype(int))].reshape(shape)


def test_slices_are_sorted_by_place_and_in_hounsfield_units(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES, RescaleSlope=2.0, RescaleIntercept=-1024.0)
    found = read_volume(tmp_path)
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, 2.0 * VALUES - 1024)  # axial: not turned
    assert found.spacing == (2.0, 0.5, 0.5)
    np.testing.assert_allclose(found.affine @ (0, 0, 0, 1), (-10, 20, 5, 1))
    np.testing.assert_allclose(found.affine @ (1, 2, 3, 1), (-11.5, 19, 7, 1))


@pytest.mark.parametrize(
    ("directions", "step"), [(SAGITTAL, (1.5, 0, 0)), ((0.8, 0.6, 0, 0, 0, -1), (1.2, -1.6, 0))]
)
def test_other_planes_lie_where_highdicom_says(
    tmp_path: Path, directions: tuple[float, ...], step: tuple[float, ...]
) -> None:
    write_series(tmp_path, VALUES, directions=directions, step=step)
    found = read_volume(tmp_path)
    values, affine = oracle(tmp_path)
    np.testing.assert_array_equal(at(found.values, found.affine, affine, values.shape), values)


def test_a_mask_goes_back_as_nifti(tmp_path: Path) -> None:
    write_series(tmp_path / "s", VALUES, directions=SAGITTAL, step=(1.5, 0, 0))
    found = read_volume(tmp_path / "s")
    write_nifti_mask((found.values > 100).astype(np.uint8), found, tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    values, affine = oracle(tmp_path / "s")
    stored = np.asarray(mask.dataobj)
    assert stored.shape == (4, 5, 6)  # column, row, slice
    np.testing.assert_array_equal(at(stored, mask.affine, affine, values.shape), values > 100)


@pytest.mark.parametrize(
    ("given", "window"),
    [
        ({"WindowCenter": 40, "WindowWidth": 401}, (-160.5, 239.5)),
        ({"WindowCenter": [40, 600], "WindowWidth": [401, 2000]}, (-160.5, 239.5)),
        ({"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}, (0.0, 100.0)),
        ({"WindowCenter": 1, "WindowWidth": 0.5, "VOILUTFunction": "LINEAR_EXACT"}, (0.75, 1.25)),
        ({"WindowCenter": 1, "WindowWidth": 1}, None),
        ({}, None),
    ],
)
def test_the_window_of_the_series(tmp_path: Path, given: dict, window: object) -> None:
    write_series(tmp_path, VALUES, **given)
    assert read_volume(tmp_path).window == window


def test_names_without_suffix_and_other_files(tmp_path: Path) -> None:
    for path in write_series(tmp_path, VALUES):
        path.rename(path.with_suffix(""))
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(b"x")
    np.testing.assert_array_equal(read_volume(tmp_path).values, VALUES)


def change(index: int, **attributes: object) -> Callable[[Path], None]:
    """A good series in which one file, by its place from the feet, has other attributes."""

    def write(folder: Path) -> None:
        path = write_series(folder, VALUES)[index]
        found = pydicom.dcmread(path)
        for name, value in attributes.items():
            setattr(found, name, value)
        found.save_as(path)

    return write


def without(index: int) -> Callable[[Path], None]:
    return lambda folder: write_series(folder, VALUES)[index].unlink()


def two_series(folder: Path) -> None:
    write_series(folder, VALUES)
    write_series(folder / "x", VALUES, SeriesInstanceUID="1.2.4")
    for path in (folder / "x").iterdir():
        path.rename(folder / f"other{path.name}")


def cut(folder: Path) -> None:
    path = write_series(folder, VALUES)[3]
    path.write_bytes(path.read_bytes()[:-30])


def renamed(folder: Path) -> None:
    write_series(folder, VALUES)
    (folder / "IM999.dcm").write_bytes(b"\x89PNG" + bytes(500))


def flat(folder: Path) -> None:
    write_series(folder, np.zeros_like(VALUES))


def copied(folder: Path) -> None:
    shutil.copy(write_series(folder, VALUES)[2], folder / "IM014b.dcm")


BAD = [
    (copied, "IM014b.dcm: it is a copy of IM014.dcm"),
    (without(2), "1 slice(s) are missing between IM007.dcm and IM021.dcm: they are 4 mm"),
    (change(4, ImagePositionPatient=[10, -20, 12.6]), "distance between slices changes"),
    (change(4, ImagePositionPatient=[10, -20, 11.0]), "same place as IM021.dcm"),
    (change(4, ImagePositionPatient=[12, -20, 13.0]), "1.41 mm off the line"),
    (change(2, ImageOrientationPatient=list(SAGITTAL)), "turned against IM000.dcm"),
    (change(2, PixelSpacing=[0.7, 0.5]), "spacing is not that of IM000.dcm"),
    (change(2, Modality="MR"), "Modality is not that"),
    (change(2, Rows=4), "Rows is not that of IM000.dcm"),
    (change(2, ImagePositionPatient=None), "ImagePositionPatient is missing"),
    (change(2, PixelSpacing=None), "PixelSpacing is missing"),
    (change(2, PhotometricInterpretation="RGB"), "it is in colour"),
    (lambda f: write_series(f, VALUES, step=(0, 0.5, 2.0)), "14.0 degrees off a right angle"),
    (lambda f: write_series(f, VALUES, PixelSpacing=[0.0, 0.0]), "spacing is missing or wrong"),
    (lambda f: write_series(f, VALUES[:1]), "it is a single slice"),
    (lambda f: write_series(f, VALUES, Rows=65_000, Columns=65_000), "promises 65000 x 65000"),
    (lambda f: write_series(f, VALUES, Modality="SEG"), "no DICOM images"),
    (two_series, "2 series: 6 file(s) like IM000.dcm, 6 file(s) like otherIM000.dcm"),
    (cut, "damaged or truncated"),
    (renamed, "IM999.dcm: it is no DICOM file"),
    (flat, "same value everywhere"),
    (lambda folder: None, "no DICOM images"),
]


@pytest.mark.parametrize(("write", "said"), BAD)
def test_bad_series_are_refused_without_a_word_of_the_patient(
    tmp_path: Path, write: Callable[[Path], object], said: str
) -> None:
    write(tmp_path)
    with pytest.raises(DataError) as caught:
        read_volume(tmp_path)
    message = str(caught.value)
    assert said in message
    assert str(tmp_path) in message
    assert not [secret for secret in SECRETS if secret in message]


def test_real_series(real_data: Path) -> None:
    folder = real_data / "vol_brain_dicom" / "images"
    found = read_volume(folder / "t2")
    values, affine = oracle(folder / "t2")
    assert found.values.shape == (22, 320, 280)
    np.testing.assert_allclose(found.spacing, (6.5, 0.6875, 0.6875), rtol=1e-4)
    np.testing.assert_array_equal(at(found.values, found.affine, affine, values.shape), values)
    with pytest.raises(DataError, match="folders below it"):
        read_volume(folder)


def test_series_are_described_without_a_name(tmp_path: Path) -> None:
    write_series(tmp_path, VALUES)
    save(dicom(VALUES[0], "9.9", Modality="MR"), tmp_path / "other.dcm")
    first = min(path.name for path in tmp_path.glob("*.dcm") if path.name != "other.dcm")
    said = series_summary(tmp_path)
    assert said == f"CT, {len(VALUES)} file(s) like {first}; MR, 1 file(s) like other.dcm"
    assert series_summary(tmp_path.parent) == ""


# Files of many frames: enhanced images in space, films, and what is no image.


def test_frames_are_sorted_by_place_and_rescaled(tmp_path: Path) -> None:
    found = read_volume(save(enhanced(), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.values, 2.0 * FRAMES - 5)
    assert found.spacing == (2.0, 0.5, 0.5)
    np.testing.assert_allclose(found.affine @ (0, 0, 0, 1), (-10, 20, 5, 1))


def test_a_folder_with_one_such_file(tmp_path: Path) -> None:
    save(enhanced(), tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_volume(tmp_path).values, 2.0 * FRAMES - 5)


BAD_FRAMES = [
    (enhanced((0, 1, 3, 4)), "no regular stack in space"),
    (dicom(FRAMES[0], NumberOfFrames=1), "it is a single slice"),
    (dicom(FRAMES, NumberOfFrames=5, SamplesPerPixel=1), "it is in colour"),
    (dicom(FRAMES[0], NumberOfFrames=60_000, Rows=512, Columns=512), "promises 512 x 512 x 60000"),
    (dicom(FRAMES[0], Modality="SEG"), "it is a segmentation"),
    (dicom(FRAMES[0], Modality="SR", Rows=None), "no image (its modality is SR)"),
    (dicom(FRAMES[0], NumberOfFrames=5), "do not say where they lie (a film?)"),
]


@pytest.mark.parametrize(("found", "said"), BAD_FRAMES)
def test_what_is_no_volume_is_refused(tmp_path: Path, found: Dataset, said: str) -> None:
    path = save(found, tmp_path / "a.dcm")
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert said in str(caught.value)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_one_slice_of_a_series_is_no_volume(tmp_path: Path) -> None:
    path = write_series(tmp_path, FRAMES)[0]
    with pytest.raises(DataError, match="folder with all slices"):
        read_volume(path)


@pytest.mark.parametrize(("by", "right"), [(0.05, True), (0.3, False)])
def test_frames_are_judged_against_their_line(tmp_path: Path, by: float, right: bool) -> None:
    found = enhanced()
    for k, frame in enumerate(found.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient[2] += by * (-1) ** k
    save(found, tmp_path / "x.dcm")
    if right:
        np.testing.assert_array_equal(read_volume(tmp_path / "x.dcm").values, 2.0 * FRAMES - 5)
    else:
        with pytest.raises(DataError, match="no regular stack"):
            read_volume(tmp_path / "x.dcm")


def test_rounded_directions_change_no_spacing(tmp_path: Path) -> None:
    half = 0.71, 0.71, 0.0, 0.0, 0.0, -1.0  # of length 1.004
    write_series(tmp_path, VALUES, directions=half, step=(1.4142, -1.4142, 0))
    assert read_volume(tmp_path).spacing == pytest.approx((0.5, 2.0, 0.5), rel=1e-3)
