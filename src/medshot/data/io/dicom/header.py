"""Read the header of a DICOM file without patient identifiers, or find them without their values.

Only requested tags are parsed, so that no personal data is in memory. Messages of pydicom about a
damaged file may quote it, so they are not passed on.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset

from medshot.core import DataError
from medshot.data.checks.issue import Issue, refusal
from medshot.data.io.dicom.picture import (
    EXPORT,
    PIXELS,
    SIZE,
    ends,
    explained,
    parsed,
    window_in,
)
from medshot.data.io.image import refusing
from medshot.data.io.pixels import UnreadableError
from medshot.data.io.registry import CODE

PLACE = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "FrameOfReferenceUID")
KIND = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality")
WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")


def header(path: Path, tags: Iterable[str] = (*KIND, *SIZE, *PLACE, *WINDOW)) -> Dataset:
    """Read the attributes `tags` of a file, where it has them, without pixels.

    Raises:
        DataError: not DICOM, damaged, or deflated, so that its unpacked size is unknown.
    """
    with refusing(path):
        found = parsed(path, tags)
        try:
            for tag in PLACE[:3]:
                np.asarray(found.get(tag, ()), dtype=np.float64)
        except Exception as error:  # parsers of values raise any exception
            raise explained(error) from None
        return found


def damaged(path: Path, error: Exception) -> DataError:
    """Error for a file that a library cannot read, without the library's message."""
    why = explained(error)
    try:
        if not any(tag in parsed(path) for tag in PIXELS):
            why = UnreadableError("it is damaged or truncated: it ends before its pixels", EXPORT)
    except UnreadableError as other:
        why = other
    return refusal(path, why.what, why.fix).error()


def modality(found: Dataset) -> str:
    """Modality, if it is a valid code: a damaged file may hold anything."""
    value = str(found.get("Modality", ""))
    return value if re.fullmatch("[A-Z]{2,8}", value) else "not given"


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM segmentation."""
    return modality(header(path, ("Modality",))) == "SEG"


def header_window(found: Dataset) -> tuple[float, float] | None:
    """Black and white values of the first usable window of the header (PS3.3 C.11.2.1.2)."""
    window = window_in(found)
    low, high = ends(window) if window else (0.0, 0.0)
    return (low, high) if low < high else None


PATIENT = ("PatientID", "IssuerOfPatientID")
PLACEHOLDER = re.compile(
    r"[\W_]*(anon\w*|unknown|none|no ?name|null|n/?a|deident\w*|x*|0*)[\W_]*", re.I
)


def patient_code(path: Path) -> str:
    """A hash of the patient's ID, the same in all files of one patient; empty if there is none.

    The ID itself is not kept. What anonymization writes in its place is none.
    """
    try:
        found = header(path, PATIENT)
    except DataError:  # reported where it is read
        return ""
    number, issuer = (str(found.get(tag) or "").strip() for tag in PATIENT)
    if PLACEHOLDER.fullmatch(number):
        return ""
    return CODE + hashlib.sha256(f"{issuer}\n{number}".encode()).hexdigest()[:12]


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

    UnreadableError files are skipped: they are errors of other checks.
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
