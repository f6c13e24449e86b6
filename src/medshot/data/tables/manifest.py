"""Images and labels of a folder, listed without decoding; and files given by paths.

Two layouts:  DIR/labels.csv with the columns path,label[,patient,split]
              DIR/CLASS/*.png ...  one folder per class
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, Issue, finding_of, refusal
from medshot.data.io.registry import (
    IMAGES,
    VOLUMES,
    dicom,
    files_below,
    files_of,
    image_format,
    is_dicom,
    is_hidden,
    volume_suffix,
)
from medshot.data.tables.cells import clean
from medshot.data.tables.columns import rows_of
from medshot.data.tables.delimited import other_tables, table_in
from medshot.data.tables.labels import Row, masks_of, read_table
from medshot.data.tables.paths import inside, outside

FORMS = (
    "A folder for medshot has either a file labels.csv with the columns path,label (and "
    "patient, split where known), or one sub-folder per class with the images in it."
)
SERIES = (
    "Add a labels.csv with the targets: in the parent folder with path,mask (the name of "
    "this folder, and of a volume with its mask), or in this one with path,label (a slice, and its "
    "class). See docs/formats.md."
)


def read_manifest(folder: Path, target: str = "label", *, optional: bool = False) -> list[Row]:
    """Images of `folder`, in the order of the table or of their names.

    Raises:
        DataError: neither layout, a column missing, no image, a duplicate row, one class only.
    """
    rows, findings = survey(folder, target, optional=optional)
    for finding in findings:
        if finding.severity == "error":
            raise finding.error()
    return rows


def survey(
    folder: Path, target: str = "label", *, optional: bool = False
) -> tuple[list[Row], list[Issue]]:
    """Usable images of `folder`, and all problems of how they are listed."""
    if not folder.is_dir():
        what = "it is a file: name its folder" if folder.exists() else "there is no such folder"
        return [], [refusal(folder, what, FORMS)]
    table = table_in(folder)
    listed = table.is_file()
    rows, findings = read_table(table, target, optional=optional) if listed else _scan(folder)
    wrong = any(finding.severity == "error" for finding in findings)
    others = [] if listed else other_tables(folder)
    if others and not rows:
        findings += [replace(other, severity="error") for other in others]
    elif listed and not rows and not wrong:
        findings.append(refusal(table, "it has no line with an image", "Add one per image."))
    elif not rows and not wrong:
        loose = sum(is_image(path) for path in files_below(folder))
        none = f"it holds no images ({', '.join(IMAGES.all())})"
        what = f"of its images ({loose}) none has a label" if loose else none
        findings.append(_bare_series(folder) or refusal(folder, what, FORMS))
    findings += others if rows else []
    classes = sorted({row.label for row in rows})
    if target == "label" and len(classes) == 1:
        what = f"it has only one class, {classes[0]!r}: there is nothing to tell apart"
        findings.append(refusal(folder, what, "Add a second one (for example `normal`)."))
    rows, found = _with_patients(rows, folder)
    return rows, findings + found


def _with_patients(rows: list[Row], folder: Path) -> tuple[list[Row], list[Issue]]:
    """Rows with the patients of their DICOM headers, where nothing else says who they are."""
    if any(row.patient for row in rows):
        return rows, []
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(_patient_in, (row.path for row in rows)))
    if len(set(codes)) == 1 and codes[0] and len(codes) > 1:  # nothing to tell apart
        what = f"there is one PatientID in all {len(codes)} images, which is not taken as a patient"
        fix = f"Correct if they are of one patient; if not, add a column patient to {TABLE}."
        return rows, [Issue("note", folder, None, what, fix)]
    return [replace(row, patient=code) for row, code in zip(rows, codes, strict=True)], []


def _patient_in(path: Path) -> str:
    files = files_below(path) if path.is_dir() else [path]
    file = next((file for file in files if is_dicom(file)), None)
    try:
        return dicom("header").patient_code(file) if file else ""
    except DataError:  # the library is missing: reported where the image is read
        return ""


def is_image(path: Path) -> bool:
    """Whether a file is a readable image, by suffix or DICOM header."""
    return image_format(path) is not None


def class_folders(folder: Path) -> list[Path]:
    """Subfolders that define the classes if there is no table."""
    return sorted(d for d in folder.iterdir() if d.is_dir() and not is_hidden(d, folder=True))


def _bare_series(folder: Path) -> Issue | None:
    """Problem of a folder with an unlabeled DICOM series."""
    if not any(path.is_file() and is_dicom(path) for path in folder.iterdir()):
        return None
    try:
        series = dicom("series").series_summary(folder)
    except DataError as error:  # a damaged file, or no library for DICOM
        return finding_of(error, folder)
    what = f"it is a DICOM series without labels ({series})"
    return refusal(folder, what, SERIES) if series else None


def _scan(folder: Path) -> tuple[list[Row], list[Issue]]:
    images = [
        (path, clean(directory.name))
        for directory in class_folders(folder)
        for path in files_below(directory)
        if is_image(path)
    ]
    rows = [Row(path, label) for path, label in images if inside(path, folder)]
    return rows, [outside(path, path.name) for path, _ in images if not inside(path, folder)]


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Given files, and all images in given folders, sorted and without duplicates.

    Masks listed in a folder's labels.csv are left out.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    what = f"image ({', '.join(IMAGES.all())})"
    return _found(paths, lambda folder: _below(folder, is_image), what)


def find_volumes(paths: Iterable[Path]) -> list[Path]:
    """As `find_images` for volumes; a folder with only DICOM files is one volume.

    Raises:
        DataError: a path does not exist, or a folder holds no volume.
    """
    return _found(paths, _volumes_in, f"volume ({', '.join(VOLUMES.all())}, or a DICOM series)")


def find_rows(paths: Iterable[Path]) -> list[Path]:
    """Rows of the given tables, or of labels.csv in given folders: labels.csv/2, ...

    Raises:
        DataError: there is no such table, or it cannot be read.
    """
    found = []
    for path in paths:
        table = table_in(path) if path.is_dir() else path
        found += [table / str(line) for line in rows_of(table)]
    return list(dict.fromkeys(found))


def _found(paths: Iterable[Path], inside: Callable[[Path], list[Path]], what: str) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist. Name a file, or a folder of them.")
        files = [path] if path.is_file() else inside(path)
        if not files:
            raise DataError(f"{path} holds no {what}.")
        found += files
    return list(dict.fromkeys(found))


def _volumes_in(folder: Path) -> list[Path]:
    found = _below(folder, lambda path: volume_suffix(path) is not None)
    found = [path for path in found if path.suffix.lower() != ".img" or _is_alone(path)]
    if not found and any(is_dicom(path) for path in files_below(folder)):
        return [folder]
    return found


def _is_alone(path: Path) -> bool:
    """Whether there is no header beside the voxels of a pair, which is one volume."""
    return not any(path.with_suffix(suffix).exists() for suffix in (".hdr", ".HDR"))


def _below(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    listed = masks_of(table_in(folder))
    masks = {file for path in listed for file in (files_of(path) if path.is_file() else [path])}
    return [path for path in files_below(folder) if wanted(path) and path not in masks]
