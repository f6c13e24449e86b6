"""File format by first bytes, else by name; readers whose library is optional."""

import gzip
import importlib
import zlib
from pathlib import Path
from types import ModuleType

from medshot.core.errors import DataError

DICOM = ".dcm"
VOLUMES = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".nrrd": "itk",
    ".nhdr": "itk",
    ".mha": "itk",
    ".mhd": "itk",
}
PREAMBLE = 128  # bytes that mean nothing, before DICOM's mark
INDEX = "DICOMDIR"  # lists the files of a disc, and is no image itself


def is_dicom(path: Path) -> bool:
    """Whether it begins as a DICOM file, whatever its name."""
    try:
        with path.open("rb") as file:
            start = file.read(PREAMBLE + 4)
    except OSError:
        return False
    return start[PREAMBLE:] == b"DICM" and path.name.upper() != INDEX


def volume_in(path: Path) -> str | None:
    """The volume format that a file is of by its first bytes, whatever its name."""
    try:
        with path.open("rb") as file:
            squeezed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if squeezed else path.open("rb") as file:
            start = file.read(348)
    except (OSError, EOFError, zlib.error):
        return None
    if start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0"):
        return "NIfTI"
    if start.startswith(b"NRRD"):
        return "NRRD"
    return "MetaImage" if start.startswith(b"ObjectType") else None


def volume_suffix(path: Path) -> str | None:
    """The suffix of a volume format that `path` ends in."""
    name = path.name.lower()
    return next((suffix for suffix in VOLUMES if name.endswith(suffix)), None)


EXTRAS = {"dicom": "dicom", "itk": "volumes", "slide": "slides"}


def reader(name: str) -> ModuleType:
    """The file of this package that is called `name`.

    Raises:
        DataError: a library that it needs is not installed.
    """
    try:
        return importlib.import_module(f"medshot.data.io.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("medshot"):
            raise
        extra = EXTRAS[name.partition(".")[0]]
        what = f"This kind of file needs the package {error.name}, which is not installed."
        raise DataError(f'{what} Type: pip install "medshot[{extra}]"') from error
