"""What a new DICOM object needs of the images that it is about: identifiers, and no names."""

from pathlib import Path

from pydicom import Dataset

from medshot.core.errors import DataError
from medshot.data.finding import refusal
from medshot.data.formats.dicom_header import KIND, PLACE, SIZE, header
from medshot.data.formats.dicom_series import series_slices

OURS = "99MEDSHOT"  # a private coding scheme: class names are words of the user
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
    """What is said where highdicom takes the headers of `source` for no DICOM."""
    name = type(error).__name__
    what = f"what its header says of the patient or the study breaks the standard ({name})"
    mend = "Write without `patient`, or as NIfTI (write_nifti_mask)."
    return refusal(source, what, mend).error()


def references(source: Path, patient: bool) -> list[Dataset]:
    """The headers of the images in a file or folder, without pixels and without other attributes.

    Whom they show and when is left empty, unless `patient`; a study then has a patient without a
    name, which the archive that receives it has to fill in.

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
