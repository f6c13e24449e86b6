"""DICOM files of one frame as images, by pydicom.

DICOM volumes have no suffix of their own: a series is a folder, and a file may be an image or a
volume (see `read_volume`).
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
    """Read a single-frame file, windowed by its header."""
    if not is_dicom(path):
        other = format_in(path, IMAGES)  # a PNG with this suffix is read too
        if other is None:
            raise UnidentifiedImageError(path)
        return other.read(path)
    return dicom("image").read_picture(path)
