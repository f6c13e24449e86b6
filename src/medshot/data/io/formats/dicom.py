"""DICOM files of one frame as images, by pydicom.

DICOM volumes have no suffix of their own: a series is a folder, and a file may be an image or a
volume (see `read_volume`).
"""

from pathlib import Path

from jaxtyping import Shaped
from numpy import ndarray

from medshot.data.io.dicom.picture import begins_as_dicom
from medshot.data.io.registry import DICOM, dicom, image_reader


@image_reader(DICOM, name="DICOM", magic=begins_as_dicom, extra="dicom")
def read_dicom(path: Path) -> Shaped[ndarray, "..."]:
    """Read a single-frame file, windowed by its header."""
    return dicom("image").read_picture(path)
