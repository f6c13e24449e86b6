"""DICOM files made by pydicom, with a name in the header that nobody may repeat."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy import ndarray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

NAME = "Zugzwang^Ottilie"
SECRETS = (NAME, "Zugzwang", "PID-4711", "19340228", "St. Erewhon")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STUDY, FRAME = generate_uid(), generate_uid()


def dicom(values: ndarray, series: str = "1.2.3", **attributes: object) -> Dataset:
    """A CT slice of these stored values; `attributes` last, None takes one away."""
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.SOPClassUID, found.SOPInstanceUID = CTImageStorage, generate_uid()
    found.StudyInstanceUID, found.SeriesInstanceUID = STUDY, series
    found.FrameOfReferenceUID = FRAME
    found.PatientName, found.PatientID, found.PatientBirthDate = NAME, "PID-4711", "19340228"
    found.PatientSex, found.InstitutionName = "F", "St. Erewhon"
    found.StudyDate = found.StudyTime = found.AccessionNumber = found.StudyID = ""
    found.ReferringPhysicianName = found.Manufacturer = ""
    found.Modality, found.SeriesNumber, found.InstanceNumber = "CT", 1, 1
    found.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    found.ImageOrientationPatient, found.ImagePositionPatient = list(AXIAL), [0.0, 0.0, 0.0]
    found.PixelSpacing, found.SliceThickness = [0.5, 0.5], 2.0
    found.Rows, found.Columns = values.shape[:2]
    found.SamplesPerPixel = 3 if values.ndim == 3 else 1
    found.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        found.PlanarConfiguration = 0
    found.BitsAllocated = found.BitsStored = 8 * values.dtype.itemsize
    found.HighBit = found.BitsAllocated - 1
    found.PixelRepresentation = int(values.dtype.kind == "i")
    found.PixelData = values.tobytes()
    for name, value in attributes.items():
        if value is None:
            del found[name]
        else:
            setattr(found, name, value)
    return found


def save(found: Dataset, path: Path) -> Path:
    """With preamble and meta information."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    values: ndarray,
    *,
    step: Sequence[float] = (0.0, 0.0, 2.0),
    directions: Sequence[float] = AXIAL,
    **attributes: object,
) -> list[Path]:
    """values[slice, row, column] as one file a slice, `step` mm apart, named in no order."""
    found = []
    for k, pixels in enumerate(values):
        place = [10.0 + k * step[0], -20.0 + k * step[1], 5.0 + k * step[2]]
        one = dicom(
            pixels,
            **{
                "ImagePositionPatient": place,
                "ImageOrientationPatient": list(directions),
                "InstanceNumber": len(values) - k,
                **attributes,
            },
        )
        found.append(save(one, folder / f"IM{(7 * k) % 101:03d}.dcm"))
    return found


def noise(shape: tuple[int, ...], dtype: type = np.int16) -> ndarray:
    """Values that differ from voxel to voxel."""
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


FRAMES = noise((5, 6, 4), np.uint16)


def item(**attributes: object) -> list[Dataset]:
    found = Dataset()
    for name, value in attributes.items():
        setattr(found, name, value)
    return [found]


def enhanced(order: tuple[int, ...] = (3, 0, 4, 1, 2), step: float = 2.0) -> Dataset:
    """FRAMES[k] at k steps to the head, in the order given."""
    values = np.ascontiguousarray(FRAMES[list(order)])
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
