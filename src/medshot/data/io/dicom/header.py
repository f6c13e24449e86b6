"""Read the header of a DICOM file without patient identifiers, or find them without their values.

Only requested tags are parsed, so that no personal data is in memory. Messages of pydicom about a
damaged file may quote it, so they are not passed on.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset, config
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medshot.core import DataError
from medshot.data.checks.issue import Issue, refusal
from medshot.data.io.volume import MOST_BYTES

PLACE = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "FrameOfReferenceUID")
SIZE = ("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated")
KIND = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality")
WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
EXPORT = "Export it again from the archive, or leave it out."


def header(path: Path, tags: Iterable[str] = (*KIND, *SIZE, *PLACE, *WINDOW)) -> Dataset:
    """Read the attributes `tags` of a file, as far as it has them, without pixels.

    Raises:
        DataError: not DICOM, damaged, or deflated, so that its unpacked size is unknown.
    """
    # pydicom's warnings about non-standard values quote them, possibly a name.
    config.settings.reading_validation_mode = config.IGNORE
    try:
        if path.stat().st_size > MOST_BYTES:
            raise refusal(path, "it is larger than 4 GiB", EXPORT).error()
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
        if syntax == DeflatedExplicitVRLittleEndian:
            what = "it is deflated as a whole, and what it unpacks to is not known"
            raise refusal(path, what, "Export it in another transfer syntax.").error()
        found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
        for tag in tags:  # values are parsed on first access: now, where errors are caught
            value = found.get(tag)
            if tag in SIZE and value is not None:
                int(value)
            if tag in PLACE[:3] and value is not None:
                np.asarray(value, dtype=np.float64)
    except DataError:
        raise
    except Exception as error:  # parsers of values raise any exception
        raise damaged(path, error) from None
    return found


def damaged(path: Path, error: Exception) -> DataError:
    """Error for a file that pydicom cannot read, without pydicom's message."""
    name = type(error).__name__
    if name == "InvalidDicomError":
        return refusal(path, "it is no DICOM file, whatever its name", EXPORT).error()
    return refusal(path, f"it is damaged or truncated ({name})", EXPORT).error()


def modality(found: Dataset) -> str:
    """Modality, if it is a valid code: a damaged file may hold anything."""
    value = str(found.get("Modality", ""))
    return value if re.fullmatch("[A-Z]{2,8}", value) else "not given"


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation."""
    return modality(header(path, ("Modality",))) == "SEG"


def header_window(found: Dataset) -> tuple[float, float] | None:
    """Black and white values of the first window of the header (PS3.3 C.11.2.1.2)."""
    centre, width = (_first(found.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return None
    if found.get("VOILUTFunction", "LINEAR") == "LINEAR":
        centre, width = centre - 0.5, width - 1
    return (centre - width / 2, centre + width / 2) if width > 0 else None


def _first(value: Any) -> float | None:
    several = list(value) if isinstance(value, MultiValue) else [value]
    return float(several[0]) if several and several[0] is not None else None


IDENTITIES = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientComments",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
)
BURNED = ("BurnedInAnnotation", "SOPClassUID", "ConversionType", "Modality")
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"  # UID prefix of the Secondary Capture storage classes
CLEAN = (
    "medshot copies none of this into what it writes; take it out (PS3.15's profile) before the "
    "files are passed on."
)
LOOK = "Look at them: text in a picture stays in it, and a learner may read it."


def identities(paths: Sequence[Path]) -> list[Issue]:
    """Warnings about identifiers in headers and burned into pixels; values are not reported.

    Unreadable files are skipped: they are errors of other checks.
    """
    named: dict[Path, list[str]] = {}
    burned: list[Path] = []
    doubtful: list[Path] = []
    for path in paths:
        try:
            found = header(path, (*IDENTITIES, *BURNED))
        except DataError:
            continue
        filled = [name for name in IDENTITIES if str(found.get(name) or "").strip()]
        if filled:
            named[path] = filled
        said = found.get("BurnedInAnnotation")
        burned += [path] if said == "YES" else []
        doubtful += [path] if said not in ("YES", "NO") and _is_capture(found) else []
    return _names(named) + _burned(burned, doubtful)


def _is_capture(found: Dataset) -> bool:
    kind = str(found.get("SOPClassUID", ""))
    return kind == SECONDARY or kind.startswith(f"{SECONDARY}.") or "ConversionType" in found


def _names(named: dict[Path, list[str]]) -> list[Issue]:
    if not named:
        return []
    counts = Counter(name for filled in named.values() for name in filled)
    what = f"{len(named)} DICOM file(s), first this one, say in {', '.join(counts)} who is on them"
    return [Issue("warning", next(iter(named)), None, what, CLEAN)]


def _burned(burned: list[Path], doubtful: list[Path]) -> list[Issue]:
    found = []
    if burned:
        what = f"{len(burned)} DICOM file(s), first this one, say that text is burnt into them"
        found.append(Issue("warning", burned[0], None, what, LOOK))
    if doubtful:
        what = f"{len(doubtful)} captured screen(s) may have a name burnt in, first this one"
        found.append(Issue("warning", doubtful[0], None, what, LOOK))
    return found
