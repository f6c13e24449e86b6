"""What is wrong or doubtful in a folder of images with a label each."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.duplicates import duplicates
from medshot.data.finding import Finding, finding_of
from medshot.data.formats.kind import is_dicom
from medshot.data.formats.library import reader
from medshot.data.look import Look, look
from medshot.data.manifest import survey
from medshot.data.patients import patients
from medshot.data.read import WINDOW
from medshot.data.shortcuts import shortcuts
from medshot.data.sources import omniglot
from medshot.data.strays import strays
from medshot.data.table import Row

UNEQUAL = 5  # times as many images in the largest class as in the smallest


def check_labels(folder: Path) -> list[Finding]:
    """What is wrong or doubtful in `folder`. Near-duplicates are not looked for."""
    if omniglot.recognises(folder):
        return _official(folder)
    rows, found = survey(folder)
    if folder.is_dir():
        found += strays(folder, rows)
    if rows:
        found += classes(rows) + patients(rows, folder) + _files(rows)
    return found


def classes(rows: Sequence[Row]) -> list[Finding]:
    """Doubts about the classes: their sizes and their names."""
    counts = Counter(row.label for row in rows)
    found = []
    for label, count in sorted(counts.items()):
        if count == 1:
            what = f"class {label!r} has one image: how well it does cannot be estimated"
            found.append(Finding("warning", None, None, what, "Add a second one at least."))
    (most, n), (least, m) = counts.most_common()[0], counts.most_common()[-1]
    if n >= UNEQUAL * m:
        what = f"very unequal classes: {most!r} has {n} images, {least!r} {m}"
        share = n / counts.total()
        mend = f"Go by balanced accuracy: the answer {most!r} for all is right in {share:.0%}."
        found.append(Finding("warning", None, None, what, mend))
    alike = Counter(_bare(label) for label in counts)
    for name in sorted(name for name, times in alike.items() if times > 1):
        same = ", ".join(repr(label) for label in sorted(counts) if _bare(label) == name)
        what = f"the classes {same} differ in capital letters, spaces or signs only"
        found.append(Finding("warning", None, None, what, "Write them alike if they are one."))
    return found


def _bare(label: str) -> str:
    """Its letters and digits; without any, what it is."""
    return "".join(c for c in label.casefold() if c.isalnum()) or label


def _files(rows: Sequence[Row]) -> list[Finding]:
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(_try, rows))
    found = [finding for finding in seen if isinstance(finding, Finding)]
    pairs = [(row, at) for row, at in zip(rows, seen, strict=True) if isinstance(at, Look)]
    found += duplicates([row for row, _ in pairs], [at.digest for _, at in pairs])
    found += shortcuts([row.label for row, _ in pairs], [at for _, at in pairs])
    return found + _deep(pairs) + _misnamed(pairs) + _identities(rows)


def _deep(pairs: Sequence[tuple[Row, Look]]) -> list[Finding]:
    deep = [row for row, at in pairs if at.bits > 8]
    if not deep:
        return []
    what = f"{len(deep)} image(s) have over 8 bits a value, first this one: each is windowed"
    mend = (
        f"The {WINDOW[0]} % darkest of its values become black, those above {WINDOW[1]} % white. "
        "Export with a window of your own if absolute values (HU) matter."
    )
    return [Finding("note", deep[0].path, deep[0].line or None, what, mend)]


def _misnamed(pairs: Sequence[tuple[Row, Look]]) -> list[Finding]:
    return [
        Finding(
            "warning",
            row.path,
            row.line or None,
            f"by its content it is a {at.kind} image, not {row.path.suffix}",
            "It is read all the same; rename it.",
        )
        for row, at in pairs
        if not at.named(row.path)
    ]


def _identities(rows: Sequence[Row]) -> list[Finding]:
    medical = [row.path for row in rows if is_dicom(row.path)]
    try:
        return reader("dicom_identities").identities(medical) if medical else []
    except DataError:  # no library for it: every file says so
        return []


def _try(row: Row) -> Look | Finding:
    try:
        return look(row.path)
    except DataError as error:
        return finding_of(error, row.path, row.line or None)


def _official(folder: Path) -> list[Finding]:
    try:
        found = omniglot.load(folder)
    except DataError as error:
        return [finding_of(error, folder)]
    what = f"the official archives of Omniglot: {len(found.labels)} characters"
    return [Finding("note", folder, None, what, "; ".join(found.notes))]
