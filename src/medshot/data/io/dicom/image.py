"""Read one DICOM file as a viewer shows it: decoded, rescaled, windowed."""

from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float32, Shaped, UInt8
from numpy import ndarray
from pydicom import Dataset
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_rescale,
    apply_voi,
    apply_windowing,
)
from pydicom.pixels.utils import pixel_array

from medshot.data.checks.issue import refusal
from medshot.data.io.dicom.header import EXPORT, KIND, SIZE, damaged, header, modality
from medshot.data.io.image import negative

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
NO_DECODER = 'Install what decodes it (`pip install "medshot[dicom]"`), or export uncompressed.'


def decoded(path: Path) -> tuple[Dataset, Shaped[ndarray, "..."]]:
    """Read the file and decode its stored pixels (color as RGB).

    Raises:
        DataError: damaged, without pixels, or in a transfer syntax without a decoder here.
    """
    try:
        found = pydicom.dcmread(path)
    except Exception as error:  # pydicom raises any exception on damaged bytes
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
    """Read one gray frame in the unit of the file: HU for CT.

    Raises:
        DataError: as `decoded`, or in color.
    """
    found, pixels = decoded(path)
    if found.get("PhotometricInterpretation") not in GREY:
        raise refusal(path, "it is in colour", "A volume is of grey slices.").error()
    return apply_rescale(pixels, found).astype(np.float32)


MOST_BYTES = 2**30
SHOWN = ("WindowCenter", "WindowWidth", "VOILUTFunction", "PhotometricInterpretation")
ONE = "One image a file; a volume is read by medshot.read_volume."


def read_picture(path: Path) -> Shaped[ndarray, "..."]:
    """Read a single-frame file: 8 bits where the header has display settings.

    Gray values are rescaled, then windowed by the header's first window or look-up table; without
    one they stay in their unit (HU for CT). MONOCHROME1 is inverted: its high values are dark.
    Color is RGB.

    Raises:
        DataError: damaged, not an image, multi-frame, or too large.
    """
    _check(path)
    found, pixels = decoded(path)
    try:
        return _shown(found, pixels)
    except Exception as error:  # non-standard tables and windows
        raise damaged(path, error) from None


def _check(path: Path) -> None:
    found = header(path, (*KIND, *SIZE))
    if "Rows" not in found or modality(found) == "SEG":
        what = f"it holds no picture (its modality is {modality(found)})"
        raise refusal(path, what, "Leave it out.").error()
    frames = int(found.get("NumberOfFrames") or 1)
    if frames > 1:
        raise refusal(path, f"it holds {frames} frames", ONE).error()
    values = int(found.Rows) * int(found.Columns) * int(found.get("SamplesPerPixel") or 1)
    if values * int(found.get("BitsAllocated") or 16) / 8 > MOST_BYTES:
        what = f"it promises too many pixels ({found.Rows} x {found.Columns})"
        raise refusal(path, what, EXPORT).error()


def _shown(found: Dataset, pixels: Shaped[ndarray, "..."]) -> Shaped[ndarray, "..."]:
    kind = found.get("PhotometricInterpretation")
    if kind == "PALETTE COLOR":
        return apply_color_lut(pixels, found)
    if kind not in GREY:
        return pixels
    values = apply_modality_lut(pixels, found)
    if found.get("VOILUTSequence"):
        depth = int(found.VOILUTSequence[0].LUTDescriptor[2])
        values = _eight_bits(apply_voi(np.rint(values).astype(np.int32), found), 2**depth - 1)
    elif found.get("WindowCenter") is not None and found.get("WindowWidth") is not None:
        values = _windowed(found, values)
    return negative(values) if kind == "MONOCHROME1" else values


def _windowed(found: Dataset, values: Shaped[ndarray, "h w"]) -> UInt8[ndarray, "h w"]:
    """Apply the header's window and its function: 0 to 255."""
    onto = Dataset()
    for name in SHOWN:
        if name in found:
            setattr(onto, name, found[name].value)
    onto.PixelRepresentation, onto.BitsStored = 0, 8
    return _eight_bits(apply_windowing(values, onto), 255)


def _eight_bits(values: Shaped[ndarray, "h w"], highest: int) -> UInt8[ndarray, "h w"]:
    return np.rint(values * (255 / highest)).clip(0, 255).astype(np.uint8)
