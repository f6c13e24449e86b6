"""Read one DICOM file as a picture, or as a slice of a volume."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray
from pydicom import Dataset

from medshot.data.checks.issue import refusal
from medshot.data.io.dicom.picture import GREY, padding, parsed, picture, pixels_of, rescaled
from medshot.data.io.image import refusing


def decoded(path: Path) -> tuple[Dataset, Shaped[ndarray, "..."]]:
    """Read the file and decode its stored pixels (color as RGB).

    Raises:
        DataError: damaged, without pixels, or in a transfer syntax without a decoder here.
    """
    with refusing(path):
        found = parsed(path)
        return found, pixels_of(found)


def slice_values(path: Path) -> Float32[ndarray, "h w"]:
    """Read one gray frame in the unit of the file, HU for CT; a masked array if it has padding.

    Raises:
        DataError: as `decoded`, or in color.
    """
    found, pixels = decoded(path)
    if found.get("PhotometricInterpretation") not in GREY:
        raise refusal(path, "it is in colour", "A volume is of grey slices.").error()
    with refusing(path):
        values = rescaled(found, pixels).astype(np.float32)
    padded = padding(found, pixels)
    return values if padded is None else np.ma.MaskedArray(values, padded)


def read_picture(path: Path) -> Shaped[ndarray, "..."]:
    """Read a single-frame file as `medshot.data.io.dicom.picture` shows it.

    Raises:
        DataError: damaged, not an image, multi-frame, or too large.
    """
    with refusing(path):
        return picture(path)
