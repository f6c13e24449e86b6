"""Which image files are meant by the paths that somebody typed."""

from collections.abc import Iterable
from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.read import SUFFIXES


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The files named, and all images in the folders named, in order of name.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist. Name an image file, or a folder of them.")
        inside = [path] if path.is_file() else _images_in(path)
        if not inside:
            raise DataError(f"{path} holds no image ({', '.join(SUFFIXES)}).")
        found += inside
    return found


def _images_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in SUFFIXES and file.is_file() and not file.name.startswith(".")
    )
