"""Files of many frames: enhanced images in space, films, and what is no image."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage

from medshot.core.errors import DataError
from medshot.data.io.read_volume import read_volume
from toys.dicom import SECRETS, dicom, noise, save, write_series

VALUES = noise((5, 6, 4), np.uint16)


def item(**attributes: object) -> list[Dataset]:
    found = Dataset()
    for name, value in attributes.items():
        setattr(found, name, value)
    return [found]


def enhanced(order: tuple[int, ...] = (3, 0, 4, 1, 2), step: float = 2.0) -> Dataset:
    """VALUES[k] at k steps to the head, in the order given."""
    values = np.ascontiguousarray(VALUES[list(order)])
    found = dicom(values[0], NumberOfFrames=len(values), Modality="MR")
    found.SOPClassUID = EnhancedMRImageStorage
    found.PixelData = values.tobytes()
    del found.ImageOrientationPatient, found.ImagePositionPatient
    del found.PixelSpacing, found.SliceThickness
    measures = item(PixelSpacing=[0.5, 0.5], SliceThickness=2.0)
    transform = item(RescaleSlope=2, RescaleIntercept=-5, RescaleType="US")
    found.SharedFunctionalGroupsSequence = item(
        PixelMeasuresSequence=measures,
        PixelValueTransformationSequence=transform,
        PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
    )
    frames = []
    for k in order:
        place = item(ImagePositionPatient=[10, -20, 5 + step * k])
        content = item(DimensionIndexValues=[k + 1])
        frames += item(PlanePositionSequence=place, FrameContentSequence=content)
    found.PerFrameFunctionalGroupsSequence = frames
    found.DimensionOrganizationSequence = item(DimensionOrganizationUID="1.2.9")
    found.DimensionIndexSequence = item(
        DimensionOrganizationUID="1.2.9",
        DimensionIndexPointer=0x00200032,
        FunctionalGroupPointer=0x00209113,
    )
    return found


def test_frames_are_sorted_by_place_and_rescaled(tmp_path: Path) -> None:
    found = read_volume(save(enhanced(), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.values, 2.0 * VALUES - 5)
    assert found.spacing == (2.0, 0.5, 0.5)
    np.testing.assert_allclose(found.affine @ (0, 0, 0, 1), (-10, 20, 5, 1))


def test_a_folder_with_one_such_file(tmp_path: Path) -> None:
    save(enhanced(), tmp_path / "a.dcm")
    np.testing.assert_array_equal(read_volume(tmp_path).values, 2.0 * VALUES - 5)


BAD = [
    (enhanced((0, 1, 3, 4)), "no regular stack in space"),
    (dicom(VALUES[0], NumberOfFrames=1), "it is a single slice"),
    (dicom(VALUES, NumberOfFrames=5, SamplesPerPixel=1), "it is in colour"),
    (dicom(VALUES[0], NumberOfFrames=60_000, Rows=512, Columns=512), "promises 512 x 512 x 60000"),
    (dicom(VALUES[0], Modality="SEG"), "it is a segmentation"),
    (dicom(VALUES[0], Modality="SR", Rows=None), "no image (its modality is SR)"),
    (dicom(VALUES[0], NumberOfFrames=5), "do not say where they lie (a film?)"),
]


@pytest.mark.parametrize(("found", "said"), BAD)
def test_what_is_no_volume_is_refused(tmp_path: Path, found: Dataset, said: str) -> None:
    path = save(found, tmp_path / "a.dcm")
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert said in str(caught.value)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_one_slice_of_a_series_is_no_volume(tmp_path: Path) -> None:
    path = write_series(tmp_path, VALUES)[0]
    with pytest.raises(DataError, match="Name the folder with all slices"):
        read_volume(path)
