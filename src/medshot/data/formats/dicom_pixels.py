"""The pixels of one DICOM file: decoded, in the units that its header gives them."""

from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float32, Shaped
from numpy import ndarray
from pydicom import Dataset
from pydicom.pixels.processing import apply_rescale
from pydicom.pixels.utils import pixel_array

from medshot.data.finding import refusal
from medshot.data.formats.dicom_header import EXPORT, damaged

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
NO_DECODER = 'Install what decodes it (`pip install "medshot[dicom]"`), or export uncompressed.'


def decoded(path: Path) -> tuple[Dataset, Shaped[ndarray, "..."]]:
    """The whole file, and its pixels as they are stored (colours as RGB).

    Raises:
        DataError: damaged, without pixels, or compressed in a way that nothing here decodes.
    """
    try:
        found = pydicom.dcmread(path)
    except Exception as error:  # on damaged bytes, pydicom raises whatever it falls over
        raise damaged(path, error) from None
    if not any(tag in found for tag in PIXELS):
        raise refusal(path, "it is cut off before its pixels", EXPORT).error()
    try:
        return found, pixel_array(found)
    except Exception as error:  # and so does each of its decoders
        if isinstance(error, NotImplementedError) or "missing dependencies" in str(error):
            syntax = found.file_meta.TransferSyntaxUID
            name = syntax.name if syntax.name != syntax else "no known transfer syntax"
            raise refusal(path, f"its pixels are packed as {name}", NO_DECODER).error() from None
        raise damaged(path, error) from None


def slice_values(path: Path) -> Float32[ndarray, "h w"]:
    """One grey frame in the unit of the file: HU for CT.

    Raises:
        DataError: as `decoded`, or in colour.
    """
    found, pixels = decoded(path)
    if found.get("PhotometricInterpretation") not in GREY:
        raise refusal(path, "it is in colour", "A volume is of grey slices.").error()
    return apply_rescale(pixels, found).astype(np.float32)
