"""NRRD and MetaImage, .nrrd, .nhdr, .mha and .mhd, by SimpleITK.

Headers are checked before ITK reads them: it has defaults for missing fields (1 mm, identity
orientation), and opens any file that a header names.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from medshot.core import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.registry import volume_reader
from medshot.data.io.volume import AGAIN, LPS_TO_RAS, Volume, check_size, volume
from medshot.data.tables.paths import inside

if TYPE_CHECKING:
    import SimpleITK

LONGEST = 2**16  # bytes of header text that are parsed
FIELD = re.compile(r"^\s*([A-Za-z][\w ]*?)\s*:?[=:]\s*(.*?)\s*$")
PLAIN = re.compile(r"(?!LIST\b)[^/\\%]+")  # a file name; not a list or pattern of names
AXES = {"nrrd": "dimension", "metaimage": "ndims"}
NEEDED = {
    "nrrd": ("space", "space directions"),
    "metaimage": ("elementspacing", "transformmatrix"),
}
BY_HAND = {  # axes that go to the left, the back and the head
    "nrrd": "Or write `space: LPS` and `space directions: (1,0,0) (0,1,0) (0,0,1)`, if so.",
    "metaimage": "Or write `TransformMatrix = 1 0 0 0 1 0 0 0 1` (and ElementSpacing), if so.",
}
SPACES = {"left-posterior-superior", "right-anterior-superior", "left-anterior-superior"}
SPACES |= {"lps", "ras", "las"}
BESIDE = "The voxels belong into the same file, or into one beside it that the header names."


def check_header(path: Path) -> None:
    """Check that a header is of a volume, has an orientation, and names no file elsewhere.

    Raises:
        DataError: otherwise, or if it is neither NRRD nor MetaImage.
    """
    kind, found = _fields(path)
    axes = found.get(AXES[kind], ["no"])[-1]
    if axes != "3":
        what = f"it holds {axes} axes: not one volume of three"
        raise refusal(path, what, "Split time points or channels into files of their own.").error()
    missing = [name for name in NEEDED[kind] if name not in found]
    if missing:
        what = f"it does not say how it lies (its header has no {' and no '.join(missing)})"
        raise refusal(path, what, f"{AGAIN} {BY_HAND[kind]}").error()
    if kind == "nrrd" and found["space"][-1].lower() not in SPACES:
        what = f"its space is {found['space'][-1]!r}, of which the patient's axes are not known"
        raise refusal(path, what, "Write it in LPS or RAS.").error()
    if set(re.findall(r"\w+", " ".join(found.get("space units", [])))) - {"mm"}:
        raise refusal(path, "its spacing is not in mm", "Write it in mm.").error()
    _check_files(path, found)


def _check_files(path: Path, found: dict[str, list[str]]) -> None:
    """Check that the voxels are in this file or one in its folder, not a list or pattern."""
    for name in ("datafile", "elementdatafile"):
        for value in found.get(name, []):
            if value.upper() == "LOCAL":
                continue
            if not PLAIN.fullmatch(value) or not inside(path.parent / value, path.parent):
                raise refusal(path, f"its voxels are in {value!r}", BESIDE).error()
            if not (path.parent / value).is_file():
                what = f"its voxels are in {value!r}, which is not beside it"
                raise refusal(path, what, BESIDE).error()


def _fields(path: Path) -> tuple[str, dict[str, list[str]]]:
    """Format and fields of a header, in lower case ("data file" is also spelled "datafile")."""
    with path.open("rb") as file:
        text = file.read(LONGEST).decode("latin-1").replace("\r", "")
    nrrd = text.startswith("NRRD000")
    lines = text.partition("\n\n")[0].split("\n") if nrrd else text.split("\n")
    found: dict[str, list[str]] = {}
    for line in lines:
        field = FIELD.match(line)
        if field:
            name = field[1].lower()
            name = "datafile" if name == "data file" else name
            found.setdefault(name, []).append(field[2])
            if name == "elementdatafile":  # the voxels follow
                break
    if not nrrd and not {"ndims", "dimsize", "elementdatafile"} <= set(found):
        what = "it is neither NRRD nor MetaImage, whatever its name"
        raise refusal(path, what, "Copy or export it again.").error()
    return "nrrd" if nrrd else "metaimage", found


READERS = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}


@volume_reader(".nrrd", ".nhdr", name="NRRD", magic=b"NRRD", extra="volumes")
@volume_reader(".mha", ".mhd", name="MetaImage", magic=b"ObjectType", extra="volumes")
def read_itk(path: Path) -> Volume:
    """Read the volume in `path`. The header is checked before any voxel is read.

    Raises:
        DataError: damaged, of another format, not one gray volume, too large, without an
            orientation, or with its voxels in a file elsewhere.
    """
    import SimpleITK  # noqa: PLC0415  (optional)

    try:
        check_header(path)
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO(READERS[path.suffix.lower()])
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
        shape = (*size, components) if components > 1 else size
        check_size(tuple(map(int, shape)), 8, path)
        image = reader.Execute()
    except DataError:
        raise
    except Exception as error:  # ITK's messages are about its own source files
        what = "it is damaged, truncated, or not what its header says"
        raise refusal(path, what, "Copy or export it again.").error() from error
    values = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)  # i, j, k
    values = values.astype(np.float32) if values.dtype.kind == "f" else values
    return volume(values, _affine(image), path)


def _affine(image: "SimpleITK.Image") -> Float64[ndarray, "4 4"]:
    """Index (i, j, k, 1) to mm in RAS; ITK's own is LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ affine
