"""Images and labels of a folder, listed without decoding; and files given by paths.

Two layouts:  DIR/labels.csv with the columns path,label[,patient,split]
              DIR/CLASS/*.png ...  one folder per class
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from medshot.core import DataError
from medshot.data.checks.issue import TABLE, Issue, finding_of, refusal
from medshot.data.io.registry import (
    IMAGES,
    VOLUMES,
    dicom,
    image_format,
    is_dicom,
    volume_suffix,
)
from medshot.data.tables.columns import rows_of
from medshot.data.tables.labels import Row, cells, inside, outside, read_table

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
    table = folder / TABLE
    listed = table.is_file()
    rows, findings = read_table(table, target, optional=optional) if listed else _scan(folder)
    wrong = any(finding.severity == "error" for finding in findings)
    if not rows and not wrong:
        loose = sum(is_image(path) for path in files_below(folder)) if not listed else 0
        none = f"it holds no images ({', '.join(IMAGES.all())})"
        what = f"of its images ({loose}) none has a label" if loose else none
        findings.append(_bare_series(folder) or refusal(folder, what, FORMS))
    classes = sorted({row.label for row in rows})
    if target == "label" and len(classes) == 1:
        what = f"it has only one class, {classes[0]!r}: there is nothing to tell apart"
        findings.append(refusal(folder, what, "Add a second one (for example `normal`)."))
    return rows, findings


def files_below(folder: Path) -> list[Path]:
    """All files in `folder` and below it, sorted, without hidden files and folders."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [path for path in found if not _hidden(path.relative_to(folder))]


def is_image(path: Path) -> bool:
    """Whether a file is a readable image, by suffix or DICOM header."""
    return image_format(path) is not None


def class_folders(folder: Path) -> list[Path]:
    """Subfolders that define the classes if there is no table."""
    return sorted(d for d in folder.iterdir() if d.is_dir() and not _hidden(Path(d.name)))


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


def _hidden(path: Path) -> bool:
    return any(name.startswith(".") for name in path.parts)


def _scan(folder: Path) -> tuple[list[Row], list[Issue]]:
    images = [
        (path, directory.name)
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
        table = path / TABLE if path.is_dir() else path
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
    if not found and any(is_dicom(path) for path in files_below(folder)):
        return [folder]
    return found


def _below(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    masks = {folder / name for name in cells(folder / TABLE, "mask")}
    return [path for path in files_below(folder) if wanted(path) and path not in masks]
