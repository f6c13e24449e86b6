"""Image files without medshot's registry of formats, for exported scripts.

The functions under it are those of medshot, so a file becomes the same pixels everywhere.
"""

from pathlib import Path

from numpy import ndarray

from medshot.data.io.dicom.picture import begins_as_dicom, picture
from medshot.data.io.pixels import UnreadableError, checked, reason, windowed
from medshot.data.io.raster import JPEG, PNG, TIFF, read_png_or_jpeg, read_tiff

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm")
START = 348  # bytes that tell the format


def files(paths: list[str]) -> list[Path]:
    """The given files, and the images in the given folders without hidden ones."""
    found = []
    for path in map(Path, paths):
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [p for p in below if p == path or _is_image(p, path)]
    return found


def _is_image(path: Path, folder: Path) -> bool:
    if not path.is_file() or any(name.startswith(".") for name in path.relative_to(folder).parts):
        return False
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        return begins_as_dicom(file.read(START)) and path.name.upper() != "DICOMDIR"


def pixels_in(path: Path) -> ndarray:
    """The pixels of an image by the format of its content, 8 bits, `h w c`.

    Raises:
        UnreadableError: why not.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
        if not start:
            raise UnreadableError("it is empty (0 bytes)")
        if begins_as_dicom(start):
            return windowed(checked(picture(path)))
        if start.startswith(TIFF):
            return windowed(checked(read_tiff(path)))
        if start.startswith((PNG, JPEG)):
            return windowed(checked(read_png_or_jpeg(path)))
    except Exception as error:  # libraries raise any exception on damaged bytes
        raise reason(error) from error
    raise UnreadableError("by its content it is no PNG, JPEG, TIFF or DICOM", "Convert it first.")
