"""Registry of file formats: the suffixes and first bytes of each, and the function that reads it.

    @volume_reader(".nrrd", ".nhdr", name="NRRD", magic=b"NRRD", extra="volumes")
    def read_nrrd(path: Path) -> Volume: ...

A new format is one file in `formats/`, or a plug-in. A library that is large or optional is
imported where a file is read: all formats are listed to tell what an unread file is.
"""

import gzip
import importlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from numpy import ndarray

from medshot.core import ConfigError, DataError, Registry
from medshot.data.io.dicom.picture import begins_as_dicom
from medshot.data.io.volume import Volume

T = TypeVar("T")
Magic = bytes | tuple[bytes, ...] | Callable[[bytes], bool]
DICOM = ".dcm"
CODE = "PatientID#"  # starts the code of a patient that is from a DICOM header
INDEX = "DICOMDIR"  # DICOM directory of a disc, not an image
SYSTEM = {INDEX, "THUMBS.DB", "EHTHUMBS.DB", "DESKTOP.INI"}  # files, in capitals
SYSTEM_FOLDERS = {"__MACOSX", "@EADIR", "$RECYCLE.BIN"}
DETACHED = {".hdr", ".img", ".nhdr", ".mhd"}  # headers whose voxels are in another file
HALVES = {".hdr", ".img", ".raw", ".zraw", ".raw.gz", ".bin"}
START = 348  # bytes at the start of a file that `magic` gets: the header size of NIfTI-1


@dataclass(frozen=True)
class Format(Generic[T]):
    """One file format. `extra` is that of medshot which brings its library.

    `indices` reads an image as a mask: the numbers in its palette, not their colors.
    """

    name: str
    suffixes: tuple[str, ...]
    values: Callable[[Path], T]
    magic: Magic
    extra: str | None = None
    indices: Callable[[Path], T] | None = None

    def read(self, path: Path, *, palette: bool = False) -> T:
        """Read `path`; with `palette`, by `indices`.

        Raises:
            DataError: the library of the format is not installed, or the file cannot be read.
        """
        with optional_library(self.extra):
            return ((palette and self.indices) or self.values)(path)

    def begins(self, start: bytes) -> bool:
        """Whether a file that starts with `start` has this format."""
        return self.magic(start) if callable(self.magic) else start.startswith(self.magic)


IMAGES: Registry[Format[ndarray]] = Registry("image format", "medshot.data.io.formats")
VOLUMES: Registry[Format[Volume]] = Registry("volume format", "medshot.data.io.formats")
ReadImage = TypeVar("ReadImage", bound=Callable[[Path], ndarray])
ReadVolume = TypeVar("ReadVolume", bound=Callable[[Path], Volume])


def image_reader(
    *suffixes: str,
    name: str,
    magic: Magic = (),
    extra: str | None = None,
    indices: Callable[[Path], ndarray] | None = None,
) -> Callable[[ReadImage], ReadImage]:
    """Register a function as the reader of image files with `suffixes`.

    It returns stored values `h w` or `h w c`, 1 to 4 channels (the second and the fourth are
    alpha), upright, masked where they are padding. Any exception is reported with the file's name.

    Args:
        suffixes: with the point, in lower case.
        name: of the format, for messages.
        magic: the first bytes of such a file (or several alternatives), or a predicate of the
            first 348 bytes.
        extra: the extra of medshot that installs the library.
        indices: reader of masks, where it differs: palette indices, not colors.

    Raises:
        ConfigError: a suffix is already registered.
    """

    def add(read: ReadImage) -> ReadImage:
        _add(IMAGES, Format(name, suffixes, read, magic, extra, indices))
        return read

    return add


def volume_reader(
    *suffixes: str, name: str, magic: Magic = (), extra: str | None = None
) -> Callable[[ReadVolume], ReadVolume]:
    """Register a function as the reader of volume files with `suffixes`.

    It returns a `Volume`, built by `medshot.data.io.volume.volume` from the values and the affine.
    Arguments and treatment of errors are as in `image_reader`.
    """

    def add(read: ReadVolume) -> ReadVolume:
        _add(VOLUMES, Format(name, suffixes, read, magic, extra))
        return read

    return add


def _add(formats: Registry[Format[T]], new: Format[T]) -> None:
    for suffix in new.suffixes:
        if not suffix.startswith(".") or suffix != suffix.lower():
            raise ConfigError(f"{suffix!r} is no suffix: write it with a point, in lower case.")
        formats.add(suffix, new, module=new.values.__module__)


def image_format(path: Path) -> Format[ndarray] | None:
    """Image format of `path`: DICOM by its content, others by the suffix."""
    return IMAGES.find(DICOM) if is_dicom(path) else _by_suffix(path, IMAGES)


def volume_format(path: Path) -> Format[Volume] | None:
    """Volume format of `path` by its suffix; not DICOM, which may be an image or a volume."""
    return _by_suffix(path, VOLUMES)


def volume_suffix(path: Path) -> str | None:
    """Suffix of `path`, if it is that of a volume format."""
    return _suffix(path, VOLUMES)


def _by_suffix(path: Path, formats: Registry[Format[T]]) -> Format[T] | None:
    suffix = _suffix(path, formats)
    return formats[suffix] if suffix else None


def _suffix(path: Path, formats: Registry[Format[T]]) -> str | None:
    name = path.name.lower()
    found = [suffix for suffix in formats.all() if name.endswith(suffix)]
    return max(found, key=len, default=None)


def format_in(path: Path, formats: Registry[Format[T]]) -> Format[T] | None:
    """Format of a file by its first bytes, after gunzip, whatever its name."""
    try:
        with path.open("rb") as file:
            squeezed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if squeezed else path.open("rb") as file:
            start = file.read(START)
    except (OSError, EOFError, zlib.error):
        return None
    return next((known for known in formats.all().values() if known.begins(start)), None)


def is_hidden(path: Path, *, folder: bool = False) -> bool:
    """Whether a file (or a `folder`) is hidden or the system's own, which no listing shows.

    A Mac writes `._IM0001.dcm` beside IM0001.dcm on a disk of another system.
    """
    system = SYSTEM_FOLDERS if folder else SYSTEM
    return path.name.startswith(".") or path.name.upper() in system


def files_below(folder: Path) -> list[Path]:
    """All files in `folder` and below it, sorted, without what `is_hidden`."""

    def shown(path: Path) -> bool:
        inside = path.relative_to(folder).parents
        return not is_hidden(path) and not any(is_hidden(each, folder=True) for each in inside)

    return [path for path in sorted(folder.rglob("*")) if path.is_file() and shown(path)]


def files_of(path: Path) -> list[Path]:
    """The files of one image: itself, with its header or voxels beside it; or those of a folder."""
    if path.is_dir():
        return files_below(path)
    if path.suffix.lower() not in DETACHED:
        return [path]
    siblings = [p for p in path.parent.iterdir() if p.name.startswith(f"{path.stem}.")]
    return sorted({path, *[p for p in siblings if p.name[len(path.stem) :].lower() in HALVES]})


def is_dicom(path: Path) -> bool:
    """Whether a file starts as DICOM, whatever its name."""
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError:
        return False
    return begins_as_dicom(start) and path.name.upper() != INDEX


def dicom(name: str) -> ModuleType:
    """Import the module `name` of `medshot.data.io.dicom`.

    Raises:
        DataError: a library that it needs is not installed.
    """
    with optional_library("dicom"):
        return importlib.import_module(f"medshot.data.io.dicom.{name}")


@contextmanager
def optional_library(extra: str | None) -> Iterator[None]:
    """Turn a failed import into a message with the package to install.

    Raises:
        DataError: in place of a `ModuleNotFoundError` about a module that is not ours.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("medshot"):
            raise
        what = f"This kind of file needs the package {error.name}, which is not installed."
        wanted = f'"medshot[{extra}]"' if extra else error.name
        raise DataError(f"{what} Type: pip install {wanted}") from error
