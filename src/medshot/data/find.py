"""Which image files are meant by the paths that somebody typed."""

from collections.abc import Iterable
from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.manifest import files_below, is_image
from medshot.data.read import SUFFIXES


def find_images(paths: Iterable[Path]) -> list[Path]:
    """The files named, and all images in the folders named, in order of name; each one once.

    Raises:
        DataError: a path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist. Name an image file, or a folder of them.")
        inside = [path] if path.is_file() else [f for f in files_below(path) if is_image(f)]
        if not inside:
            raise DataError(f"{path} holds no image ({', '.join(SUFFIXES)}).")
        found += inside
    return list(dict.fromkeys(found))
