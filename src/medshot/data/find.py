"""Which files are meant by the paths that somebody typed."""

from collections.abc import Callable, Iterable
from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.finding import TABLE
from medshot.data.formats.kind import VOLUMES, is_dicom, volume_suffix
from medshot.data.manifest import files_below, is_image
from medshot.data.read import SUFFIXES
from medshot.data.rows import rows_of
from medshot.data.table import cells


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The files named, and all images in the folders named, in order of name; each one once.

    What labels.csv in such a folder calls a mask is none.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    return _found(paths, lambda folder: _below(folder, is_image), f"image ({', '.join(SUFFIXES)})")


def find_volumes(paths: Iterable[Path]) -> list[Path]:
    """As `find_images` for volumes; a folder of DICOM files and no others is one volume.

    Raises:
        DataError: a path does not exist, or a folder holds no volume.
    """
    return _found(paths, _volumes_in, f"volume ({', '.join(VOLUMES)}, or a DICOM series)")


def find_rows(paths: Iterable[Path]) -> list[Path]:
    """The rows of the tables named, or of labels.csv in the folders named: labels.csv/2, ...

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
