"""Read and write DICOM segmentations that refer to their series, by highdicom.

A new object takes identifiers from its images, and no names.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from jaxtyping import UInt8, UInt16
from numpy import ndarray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from medshot.core import DataError, mask_numbers
from medshot.core.atomic import replacing
from medshot.data.checks.issue import refusal
from medshot.data.io.dicom.header import KIND, PLACE, SIZE, damaged, header
from medshot.data.io.dicom.series import series_slices
from medshot.data.io.volume import LPS_TO_RAS, NEAR, Volume, check_size, volume

OURS = "99MEDSHOT"  # private coding scheme: class names are free text of the user
REFERRED = (
    *KIND,
    *SIZE,
    *PLACE,
    "StudyInstanceUID",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PositionReferenceIndicator",
    "ImageType",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "DimensionOrganizationSequence",
    "DimensionIndexSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
PATIENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "SpecificCharacterSet",
)


def broken(source: Path, error: Exception) -> DataError:
    """Error where highdicom rejects the headers of `source` as non-standard."""
    name = type(error).__name__
    what = f"what its header says of the patient or the study breaks the standard ({name})"
    fix = "Write without `patient`, or as NIfTI (write_nifti_mask)."
    return refusal(source, what, fix).error()


def reference_headers(source: Path, patient: bool) -> list[Dataset]:
    """Headers of the images in a file or folder, reduced to what a reference needs.

    Patient and study attributes are left empty, unless `patient`; the archive that receives the
    object has to fill them in.

    Raises:
        DataError: `source` is not DICOM, or has changed since it was read.
    """
    asked = (*REFERRED, *PATIENT) if patient else REFERRED
    try:
        files = [source] if source.is_file() else [one.path for one in series_slices(source)]
        found = [header(path, asked) for path in files]
    except DataError as error:
        raise DataError(
            f"What refers to {source} needs its DICOM files: {error} For a volume that is not "
            "DICOM, write NIfTI (write_nifti_mask)."
        ) from error
    for one in found:
        for name in PATIENT[:-1]:
            if name not in one:
                setattr(one, name, "")
    return found


def write_seg(
    stored: UInt8[ndarray, "i j k"] | UInt16[ndarray, "i j k"],
    like: Volume,
    path: Path,
    labels: Sequence[str],
    patient: bool,
) -> None:
    """Write class numbers in the order of the files of `like`; `labels[0]` is background."""
    sources = reference_headers(like.source, patient)
    mask = highdicom.Volume(
        array=np.ascontiguousarray(stored.transpose(2, 1, 0)),
        affine=_lps(like.grid.affine),
        coordinate_system="PATIENT",
        frame_of_reference_uid=sources[0].FrameOfReferenceUID,
    )
    try:
        made = _segmentation(mask, sources, labels)
    except (TypeError, ValueError, AttributeError) as error:  # its words may quote the header
        raise broken(like.source, error) from None
    with replacing(path) as temporary:
        made.save_as(temporary)


def _segmentation(
    mask: highdicom.Volume, sources: Sequence[Dataset], labels: Sequence[str]
) -> Segmentation:
    return Segmentation(
        source_images=sources,
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[
            _segment(i, n, name)
            for i, (n, name) in enumerate(zip(mask_numbers(labels), labels, strict=True))
            if i
        ],
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer="medshot",
        manufacturer_model_name="medshot",
        software_versions=version("medshot"),
        device_serial_number="none",
        content_label="MEDSHOT",
    )


def read_seg(path: Path, like: Volume) -> Volume:
    """Read the class numbers of a segmentation, on the grid of `like` if no resampling is needed.

    Raises:
        DataError: damaged, too large, or its segments overlap.
    """
    found = header(path, (*SIZE, "SegmentsOverlap"))
    frames = int(found.get("NumberOfFrames") or 1)
    check_size((int(found.Columns), int(found.Rows), frames), 2, path)
    if found.get("SegmentsOverlap") == "YES":
        what = "its segments overlap: a voxel of two classes has no class number"
        raise refusal(path, what, "Export the segments one by one.").error()
    try:
        stored = pydicom.dcmread(path)
        _snap(stored, like)
        read = Segmentation.from_dataset(stored, copy=False)
        mask = _placed(read.get_volume(combine_segments=True), like)
        values = _numbers(read)[mask.array]
    except DataError:
        raise
    except RuntimeError as error:  # positions, not bytes
        what = f"its frames do not lie on the slices of {like.source.name}"
        fix = "Take that of the same series, or export it again from where both are."
        raise refusal(path, what, fix).error() from error
    except Exception as error:  # highdicom raises any exception on damaged bytes
        raise damaged(path, error) from None
    affine = LPS_TO_RAS @ np.asarray(mask.affine)[:, [2, 1, 0, 3]]
    return volume(values.transpose(2, 1, 0), affine, path)


def _numbers(read: Segmentation) -> UInt16[ndarray, "segments"]:
    """Class number of each segment: that of its code if we wrote it, else its own number."""
    found = np.arange(max(read.segment_numbers, default=0) + 1, dtype=np.uint16)
    for number in read.segment_numbers:
        kind = read.get_segment_description(number).segmented_property_type
        if kind.scheme_designator == OURS and kind.value.isdecimal():
            found[number] = int(kind.value)
    return found


def _snap(stored: Dataset, like: Volume) -> None:
    """Move each frame to the slice of `like` that it is meant for: positions are often rounded."""
    lps = LPS_TO_RAS @ like.grid.affine
    for frame in stored.PerFrameFunctionalGroupsSequence:
        for plane in frame.get("PlanePositionSequence", ()):
            place = np.array([*plane.ImagePositionPatient, 1], dtype=np.float64)
            index = np.linalg.solve(lps, place)
            whole = np.rint(index)
            if np.abs(index - whole).max() <= NEAR:
                plane.ImagePositionPatient = (lps @ whole)[:3].tolist()


def _placed(mask: highdicom.Volume, like: Volume) -> highdicom.Volume:
    """Add the empty slices, which a segmentation may omit."""
    i, j, k = like.grid.shape
    onto = highdicom.VolumeGeometry(_lps(like.grid.affine), (k, j, i), "PATIENT")
    try:
        placed = mask.match_geometry(onto, tol=1e-3)
    except (RuntimeError, ValueError):  # of another spacing or angle: the caller names it
        return mask
    lost = np.count_nonzero(placed.array) < np.count_nonzero(mask.array)
    return mask if lost else placed


def _lps(affine: ndarray) -> ndarray:
    """Affine for highdicom: index (slice, row, column, 1) to mm in LPS."""
    return LPS_TO_RAS @ affine[:, [2, 1, 0, 3]]


def _segment(index: int, number: int, label: str) -> SegmentDescription:
    """Segments are numbered from 1 without gaps (PS3.3 C.8.20.4): `number` is in the code."""
    return SegmentDescription(
        segment_number=index,
        segment_label=label[:64],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=highdicom.sr.CodedConcept(str(number), OURS, label[:64]),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="medshot",
            family=codes.DCM.ArtificialIntelligence,
            version=version("medshot"),
        ),
    )
