"""DICOM files of one frame as images, by pydicom.

Volumes are no format of one suffix here: a series is a folder, and what a file holds is in its
header (`read_volume`).
"""

from pathlib import Path

from jaxtyping import Shaped
from numpy import ndarray
from PIL import UnidentifiedImageError

from medshot.data.io.registry import (
    DICOM,
    IMAGES,
    begins_as_dicom,
    dicom,
    format_in,
    image_reader,
    is_dicom,
)


@image_reader(DICOM, name="DICOM", magic=begins_as_dicom, extra="dicom")
def read_dicom(path: Path) -> Shaped[ndarray, "..."]:
    """The picture in a file of one frame, shown as its header says."""
    if not is_dicom(path):
        other = format_in(path, IMAGES)  # PNG under this name is read all the same
        if other is None:
            raise UnidentifiedImageError(path)
        return other.read(path)
    return dicom("image").read_picture(path)
