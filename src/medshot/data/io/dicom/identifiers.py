"""Find patient identifiers in DICOM files, without reporting their values."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset

from medshot.core.errors import DataError
from medshot.data.checks.issue import Finding
from medshot.data.io.dicom.header import header

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


def identities(paths: Sequence[Path]) -> list[Finding]:
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


def _names(named: dict[Path, list[str]]) -> list[Finding]:
    if not named:
        return []
    counts = Counter(name for filled in named.values() for name in filled)
    what = f"{len(named)} DICOM file(s), first this one, say in {', '.join(counts)} who is on them"
    return [Finding("warning", next(iter(named)), None, what, CLEAN)]


def _burned(burned: list[Path], doubtful: list[Path]) -> list[Finding]:
    found = []
    if burned:
        what = f"{len(burned)} DICOM file(s), first this one, say that text is burnt into them"
        found.append(Finding("warning", burned[0], None, what, LOOK))
    if doubtful:
        what = f"{len(doubtful)} captured screen(s) may have a name burnt in, first this one"
        found.append(Finding("warning", doubtful[0], None, what, LOOK))
    return found
