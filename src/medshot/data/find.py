"""Which image files are meant by the paths that somebody typed."""

from collections.abc import Iterable
from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.finding import TABLE
from medshot.data.manifest import files_below, is_image
from medshot.data.read import SUFFIXES
from medshot.data.table import cells


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The files named, and all images in the folders named, in order of name; each one once.

    What labels.csv in such a folder calls a mask is none.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist. Name an image file, or a folder of them.")
        inside = [path] if path.is_file() else _images_below(path)
        if not inside:
            raise DataError(f"{path} holds no image ({', '.join(SUFFIXES)}).")
        found += inside
    return list(dict.fromkeys(found))


def _images_below(folder: Path) -> list[Path]:
    masks = {folder / name for name in cells(folder / TABLE, "mask")}
    return [f for f in files_below(folder) if is_image(f) and f not in masks]
