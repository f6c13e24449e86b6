"""One DICOM file as a viewer shows it: decoded, rescaled, windowed, by pydicom.

This module is part of the exported script (see `medshot.data.io.pixels`), where pydicom may be
missing: it is imported where a file is read. Messages of pydicom may quote a header, so they are
not passed on.
"""

import re
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from medshot.data.io.pixels import UnreadableError, negative

PREAMBLE = 128  # bytes of DICOM's preamble, before the magic DICM
EXPORT = "Export it again from the archive, or leave it out."
UNPACKED = "Export it uncompressed, or leave it out."
END_OF_JPEG = b"\xff\xd9"  # of every kind of JPEG
DEFLATED = "1.2.840.10008.1.2.1.99"
MOST = 2**32  # bytes of a file
MOST_DECODED = 2**30  # bytes of its pixels
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
GREY = ("MONOCHROME1", "MONOCHROME2")
SIZE = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated")
NEEDED = ("SamplesPerPixel", "PhotometricInterpretation", *SIZE[:2], "BitsAllocated")
WHOLE = ("BitsStored", "PixelRepresentation")  # of whole numbers alone


def begins_as_dicom(start: bytes) -> bool:
    """Whether these are the first bytes of a DICOM file, with or without its preamble."""
    return start[PREAMBLE : PREAMBLE + 4] == b"DICM" or _begins_bare(start)


def _begins_bare(start: bytes) -> bool:
    """Whether a data set begins at once: two elements of the groups 2 or 8, in order."""
    at, last = 0, (0, 0)
    for _ in range(2):
        if len(start) < at + 8:
            return False
        group, element, length = struct.unpack_from("<HHI", start, at)
        if group not in (2, 8) or (group, element) <= last or element > 0x3FFF:
            return False
        if re.fullmatch(rb"[A-Z]{2}", start[at + 4 : at + 6]):  # the value representation is given
            length = struct.unpack_from("<H", start, at + 6)[0]
        at, last = at + 8 + length, (group, element)
        if length > 256:
            return False
    return True


def parsed(path: Path, tags: Iterable[str] | None = None) -> Any:
    """Parse a file; with `tags`, these attributes alone, as far as it has them, without pixels.

    A file without preamble, or without its transfer syntax, is read by the syntax that it shows.

    Raises:
        UnreadableError: not DICOM, damaged, too large, or deflated, so that its size is unknown.
    """
    try:
        import pydicom  # noqa: PLC0415  (the exported script may run without it)
        from pydicom import config  # noqa: PLC0415
        from pydicom.filereader import read_dataset, read_preamble  # noqa: PLC0415
        from pydicom.uid import UID  # noqa: PLC0415
    except ImportError:
        raise UnreadableError("DICOM needs pydicom", "Type: pip install pydicom") from None
    # pydicom's warnings about non-standard values quote them, possibly a name.
    config.settings.reading_validation_mode = config.IGNORE
    try:
        if path.stat().st_size > MOST:
            raise UnreadableError("it is larger than 4 GiB", EXPORT)
        with path.open("rb") as file:
            bare = _begins_bare(file.read(PREAMBLE + 4))
            file.seek(0)
            read_preamble(file, force=bare)
            meta = read_dataset(file, False, True, stop_when=lambda tag, *_: tag >> 16 != 2)
        if meta.get("TransferSyntaxUID") == DEFLATED:
            what = "it is deflated as a whole, and what it unpacks to is not known"
            raise UnreadableError(what, "Export it in another transfer syntax.")
        asked = list(tags) if tags is not None else None
        found = pydicom.dcmread(
            path, stop_before_pixels=asked is not None, specific_tags=asked, force=bare
        )
        if "TransferSyntaxUID" not in found.file_meta:
            implicit, little = found.original_encoding
            suffix = "" if implicit else ".1" if little else ".2"
            found.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2{suffix}")
        for tag in SIZE:  # values are parsed on first access: now, where errors are caught
            if found.get(tag) is not None:
                int(found[tag].value)
    except Exception as error:  # parsers of values raise any exception
        raise explained(error) from None
    return found


def explained(error: Exception) -> UnreadableError:
    """Why pydicom failed, without its message; damaged only where the error says so."""
    name = type(error).__name__
    if isinstance(error, UnreadableError):
        return error
    if name == "InvalidDicomError":
        return UnreadableError("it is no DICOM file, whatever its name", EXPORT)
    if isinstance(error, OSError) and error.strerror:
        return UnreadableError(f"it cannot be opened ({error.strerror})", "Check its permissions.")
    ended = re.search("end of file|unexpected end", str(error), re.IGNORECASE)
    if isinstance(error, EOFError | struct.error) or "Length" in name or ended:
        return UnreadableError(f"it is damaged or truncated ({name})", EXPORT)
    return UnreadableError(f"its header holds what pydicom does not read ({name})", EXPORT)


def pixels_of(found: Any) -> ndarray:
    """Decode the stored pixels of a whole data set (color as RGB).

    Raises:
        UnreadableError: truncated, without pixels, or in a transfer syntax without a decoder here.
    """
    from pydicom.pixels.utils import get_expected_length, pixel_array  # noqa: PLC0415

    given = [tag for tag in PIXELS if tag in found]
    if not given:
        raise UnreadableError("it is cut off before its pixels", EXPORT)
    needed = (*NEEDED, *(WHOLE if given[0] == "PixelData" else ()))
    if absent := [tag for tag in needed if found.get(tag) is None]:
        raise UnreadableError(f"its header lacks {', '.join(absent)}", EXPORT)
    stored, high = _number(found.get("BitsStored")), _number(found.get("HighBit"))
    if stored and high is not None and high != stored - 1:
        what = f"its {stored:.0f} bits end at bit {high:.0f}, which the standard has retired"
        raise UnreadableError(what, EXPORT)
    syntax = found.file_meta.TransferSyntaxUID
    try:
        if not syntax.is_compressed and len(found[given[0]].value) < get_expected_length(found):
            raise UnreadableError(
                "it is damaged or truncated: it ends before its pixels do", EXPORT
            )
        return _stored_bits(found, pixel_array(found))
    except UnreadableError:
        raise
    except Exception as error:  # each decoder raises its own
        if syntax.is_compressed:
            raise _undecoded(syntax, found[given[0]].value) from None
        what = f"its pixels cannot be decoded ({type(error).__name__})"
        raise UnreadableError(what, EXPORT) from None


def _undecoded(syntax: Any, packed: bytes) -> UnreadableError:
    """Why no decoder took pixels in a compressed transfer syntax, and which packages would."""
    from pydicom.pixels.decoders.base import get_decoder  # noqa: PLC0415

    known = syntax.name != syntax
    what = f"its pixels are packed as {syntax.name if known else 'no known transfer syntax'}"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return UnreadableError(f"{what}, which pydicom does not decode", UNPACKED)
    needed = [each.partition(" requires ")[2] for each in decoder.missing_dependencies]
    packages = ", or ".join(re.sub(r"\bgdcm", "python-gdcm", each) for each in needed)
    if not decoder.is_available:
        fix = f"Install {packages}, or export uncompressed."
        return UnreadableError(f"{what}, and no package that decodes it is installed", fix)
    if "JPEG" in syntax.name and END_OF_JPEG not in packed[-16:]:
        return UnreadableError(f"it is damaged or truncated: its {syntax.name} has no end", EXPORT)
    decoders = ", ".join(decoder.available_plugins)
    more = f" {packages} may decode it." if packages else ""
    return UnreadableError(f"{what}, which {decoders} could not decode", f"{UNPACKED}{more}")


def _stored_bits(found: Any, pixels: ndarray) -> ndarray:
    """Stored values as 8 bits, where the header promises no more."""
    few = int(found.get("BitsStored") or 16) <= 8 and pixels.dtype.kind == "u"
    return pixels.astype(np.uint8) if few else pixels


def padding(found: Any, pixels: ndarray) -> ndarray | None:
    """Where stored values are padding (PS3.3 C.7.5.1.1.2); None if nowhere."""
    limits = [_number(found.get(f"PixelPadding{end}")) for end in ("Value", "RangeLimit")]
    if limits[0] is None or pixels.dtype.kind not in "ui" or found.get("SamplesPerPixel", 1) != 1:
        return None
    ends = [
        np.array(int(end)).astype(pixels.dtype)  # of the other sign, for some writers
        for end in limits
        if end is not None
    ]
    padded = (pixels >= min(ends)) & (pixels <= max(ends))
    return padded if padded.any() else None


def rescaled(found: Any, pixels: ndarray) -> ndarray:
    """Stored values in the unit of the file (HU for CT).

    8-bit values that stay whole numbers in 0 to 255 stay 8-bit.
    """
    from pydicom.pixels.processing import apply_modality_lut  # noqa: PLC0415

    if found.get("ModalityLUTSequence"):
        values = apply_modality_lut(pixels, found)
    else:
        slope, intercept = (_number(found.get(f"Rescale{n}")) for n in ("Slope", "Intercept"))
        slope, intercept = 1.0 if slope is None else slope, intercept or 0.0
        if (slope, intercept) == (1.0, 0.0):
            return pixels
        values = pixels.astype(np.float64) * slope + intercept
    whole = pixels.dtype == np.uint8 and (values == np.rint(values)).all()
    return values.astype(np.uint8) if whole and 0 <= values.min() <= values.max() <= 255 else values


def window_in(found: Any) -> tuple[float, float, str] | None:
    """Center, width and function of the first usable window of the header.

    A window without a value or of no width is none. A linear window of a width below 1, which the
    standard rules out, is one of small units: it is exact.
    """
    try:
        centers, widths = (_numbers(found.get(name)) for name in ("WindowCenter", "WindowWidth"))
    except ValueError:  # it is no number
        return None
    function = str(found.get("VOILUTFunction") or "LINEAR").strip().upper()
    for center, width in zip(centers, widths, strict=False):
        if center is not None and width is not None and width > 0:
            return center, width, "LINEAR_EXACT" if function == "LINEAR" and width < 1 else function
    return None


def _numbers(value: Any) -> list[float | None]:
    several = value if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    return [_number(each) for each in several]


def _number(value: Any) -> float | None:
    """A finite number, from a header that may hold anything."""
    try:
        number = float(int.from_bytes(value, "little") if isinstance(value, bytes) else value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def ends(window: tuple[float, float, str]) -> tuple[float, float]:
    """The values that a window maps to black and white (PS3.3 C.11.2.1.2)."""
    center, width, function = window
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    return center - width / 2, center + width / 2


def _windowed(values: ndarray, window: tuple[float, float, str]) -> ndarray:
    """Apply a window by its function: 0 to 255."""
    center, width, function = window
    if function == "SIGMOID":
        return _eight_bits(1 / (1 + np.exp(-4 * (values - center) / width)), 1)
    low, high = ends(window)
    shown = (values - low) / (high - low) if high > low else (values > high).astype(float)
    return _eight_bits(shown, 1)


def _eight_bits(values: ndarray, highest: int) -> ndarray:
    return np.rint(values * (255 / highest)).clip(0, 255).astype(np.uint8)


def picture(path: Path) -> ndarray:
    """Read a single-frame file: 8 bits where the header has display settings.

    Gray values are rescaled, then windowed by the header's look-up table or first window; without
    one they stay in their unit (HU for CT), and padding is masked. MONOCHROME1 is inverted: its
    high values are dark. Padding is black where it is windowed. Color is RGB.

    Raises:
        UnreadableError: damaged, not an image, multi-frame, or too large.
    """
    found = parsed(path, (*SIZE, "Modality"))
    if "Rows" not in found or found.get("Modality") == "SEG":
        said = str(found.get("Modality", ""))
        kind = said if re.fullmatch("[A-Z]{2,8}", said) else "not given"
        raise UnreadableError(f"it holds no picture (its modality is {kind})", "Leave it out.")
    frames = int(found.get("NumberOfFrames") or 1)
    if frames > 1:
        fix = "A file must hold one image; a volume is read by medshot.read_volume."
        raise UnreadableError(f"it holds {frames} frames", fix)
    n = int(found.get("Rows") or 0) * int(found.get("Columns") or 0)
    width = int(found.get("SamplesPerPixel") or 1) * int(found.get("BitsAllocated") or 16) / 8
    if n * width > MOST_DECODED:
        what = f"it promises too many pixels ({found.Rows} x {found.Columns})"
        raise UnreadableError(what, EXPORT)
    found = parsed(path)
    pixels = pixels_of(found)
    _lift(found)
    try:
        return _shown(found, pixels)
    except UnreadableError:
        raise
    except Exception as error:  # non-standard tables and numbers
        what = f"its rescale or look-up table is not standard ({type(error).__name__})"
        raise UnreadableError(what, EXPORT) from None


def _lift(found: Any) -> None:
    """Put the rescale and window of an enhanced file's only frame where plain files have them."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for group in (found.get(groups) or [])[:1]:
                for inner in (group.get(macro) or [])[:1]:
                    for element in inner:
                        if element.tag not in found:
                            found[element.tag] = element


def _shown(found: Any, pixels: ndarray) -> ndarray:
    kind = found.get("PhotometricInterpretation")
    if kind == "PALETTE COLOR":
        return _colored(found, pixels)
    if kind not in GREY:
        return pixels
    padded = padding(found, pixels)
    values = rescaled(found, pixels)
    shown = _by_table(found, values)
    window = window_in(found) if shown is None else None
    if window:
        shown = _windowed(values, window)
    constant = shown is not None and shown.min() == shown.max() and values.min() < values.max()
    if constant:
        what = "all its values are beyond the window of its header: it is shown as one gray"
        raise UnreadableError(what, "Correct its window, or export it without one.")
    shown = values if shown is None else shown
    shown = negative(shown) if kind == "MONOCHROME1" else shown
    if padded is None:
        return shown
    if shown.dtype == np.uint8:
        return np.where(padded, 0, shown).astype(np.uint8)
    return np.ma.MaskedArray(shown, padded)


def _by_table(found: Any, values: ndarray) -> ndarray | None:
    """Values by the look-up table of the header, 0 to 255; None without one."""
    from pydicom.pixels.processing import apply_voi  # noqa: PLC0415

    tables = found.get("VOILUTSequence")
    if not tables or not tables[0].get("LUTData") or not tables[0].get("LUTDescriptor"):
        return None
    depth = int(tables[0].LUTDescriptor[2])
    return _eight_bits(apply_voi(np.rint(values).astype(np.int32), found), 2**depth - 1)


def _colored(found: Any, pixels: ndarray) -> ndarray:
    """Colors of a palette, whose 16-bit entries cover the range of the display."""
    from pydicom.pixels.processing import apply_color_lut  # noqa: PLC0415

    colors = apply_color_lut(pixels, found)
    if colors.dtype == np.uint8:
        return colors
    return _eight_bits(colors, 255 if colors.max() <= 255 else 65_535)
