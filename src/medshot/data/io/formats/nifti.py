"""NIfTI, .nii, .nii.gz and the pair of .hdr and .img, by nibabel."""

import glob
import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Integer
from numpy import ndarray

from medshot.core.atomic import replacing
from medshot.data.checks.issue import refusal
from medshot.data.io.registry import volume_reader
from medshot.data.io.volume import NEAR, Volume, apart, check_size, spacing_of, volume

if TYPE_CHECKING:
    import nibabel.nifti1

PAIR = (".hdr", ".img")
NIFTI_1, NIFTI_2 = 348, 540  # header sizes in bytes
GEOMETRY = ("qform_code", "sform_code", "srow_x", "srow_y", "srow_z")
GEOMETRY += tuple(f"quatern_{axis}" for axis in "bcd") + tuple(f"qoffset_{axis}" for axis in "xyz")
MOST_BEFORE = 2**24  # bytes of header and extensions
DAMAGED = "Copy or export it again."
NOT_SAID = "Write the orientation into it (nibabel: image.set_sform(affine, 1)), if you know it."


def _begins(start: bytes) -> bool:
    return start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0")


@volume_reader(".nii", ".nii.gz", ".hdr", ".img", name="NIfTI", magic=_begins)
def read_nifti(path: Path) -> Volume:
    """Read the volume in `path`. The header is checked before any voxel is read.

    Of a pair, either file may be named.

    Raises:
        DataError: not NIfTI, not one volume, too large, or without an orientation.
    """
    header, form = _header(path)
    shape = _shape(header)
    check_size(shape, header.get_data_dtype().itemsize, path)
    _check_place(header, path)
    image = form.from_filename(path, mmap=False)
    stored = np.asanyarray(image.dataobj).reshape(shape)
    if stored.dtype.kind == "f":  # nibabel rescales to doubles
        stored = stored.astype(np.float32)
    affine = np.asarray(image.affine, dtype=np.float64)
    said = {"step": _step(header), "other": _other(header, affine), "header": header}
    return volume(stored, affine, path, _window(header), **said)


def write_nifti(stored: Integer[ndarray, "i j k"], like: Volume, path: Path) -> None:
    """Write integers in the storage order of the file of `like`, with its affine.

    Of a NIfTI file, the sform, the qform and their codes are copied, so that a program that goes by
    either lays the mask on the image.
    """
    from nibabel import Nifti1Image, Nifti2Image  # noqa: PLC0415  (slow to import)

    given = like.grid.header
    if given is None:
        image = Nifti1Image(stored, like.grid.affine)
        image.set_sform(like.grid.affine, code="scanner")
        image.set_qform(like.grid.affine, code="scanner")
        image.header.set_xyzt_units("mm")
    else:
        form = Nifti2Image if int(given["sizeof_hdr"]) == NIFTI_2 else Nifti1Image
        image = form(stored, None, dtype=stored.dtype)
        for name in GEOMETRY:
            image.header[name] = given[name]
        image.header["pixdim"][:4] = given["pixdim"][:4]
        image.header.set_xyzt_units(given.get_xyzt_units()[0])
    raw = image.to_bytes()
    with replacing(path) as temporary:
        squeezed = path.name.lower().endswith(".gz")
        temporary.write_bytes(gzip.compress(raw, mtime=0) if squeezed else raw)


def _header(
    path: Path,
) -> tuple["nibabel.nifti1.Nifti1Header", type["nibabel.nifti1.Nifti1Pair"]]:
    from nibabel import nifti1, nifti2  # noqa: PLC0415  (slow to import, and few read volumes)

    if path.suffix.lower() in PAIR:
        return _header_of_pair(path)
    with path.open("rb") as file:
        squeezed = file.read(2) == b"\x1f\x8b"
    if squeezed != path.name.lower().endswith(".gz"):
        what = "its suffix and its compression (gzip or none) do not match"
        raise refusal(path, what, "Rename it: .nii.gz if compressed, else .nii.").error()
    try:
        with gzip.open(path) if squeezed else path.open("rb") as file:
            start = file.read(540)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        start = b""
    sizes = {int.from_bytes(start[:4], order) for order in ("little", "big")}
    forms = {
        NIFTI_1: (nifti1.Nifti1Header, nifti1.Nifti1Image),
        NIFTI_2: (nifti2.Nifti2Header, nifti2.Nifti2Image),
    }
    form = next((forms[size] for size in sizes & set(forms)), None)
    if form is None or len(start) < form[0].sizeof_hdr:
        raise refusal(path, "it is no NIfTI file, whatever its name", DAMAGED).error()
    return form[0](start[: form[0].sizeof_hdr], check=False), form[1]


def _header_of_pair(
    path: Path,
) -> tuple["nibabel.nifti1.Nifti1Header", type["nibabel.nifti1.Nifti1Pair"]]:
    from nibabel import nifti1, nifti2  # noqa: PLC0415  (slow to import, and few read volumes)

    pair = {p.suffix.lower(): p for p in path.parent.glob(f"{glob.escape(path.stem)}.*")}
    absent = [suffix for suffix in PAIR if suffix not in pair]
    if absent:
        what = f"{path.with_suffix(absent[0]).name}, the other half of the pair, is missing"
        raise refusal(path, what, "Copy both into one folder.").error()
    start = pair[".hdr"].read_bytes()[:NIFTI_2]
    if _begins(start) and start[344:347] == b"ni1":
        return nifti1.Nifti1PairHeader(start[:NIFTI_1], check=False), nifti1.Nifti1Pair
    if _begins(start) and len(start) == NIFTI_2:
        return nifti2.Nifti2PairHeader(start, check=False), nifti2.Nifti2Pair
    if NIFTI_1 in {int.from_bytes(start[:4], order) for order in ("little", "big")}:
        what = "it is Analyze 7.5, which does not say on which side left is"
        fix = "Find out, and save it as NIfTI (nibabel, SPM, 3D Slicer)."
        raise refusal(path, what, fix).error()
    raise refusal(path, "it is no NIfTI file, whatever its name", DAMAGED).error()


def _shape(header: "nibabel.nifti1.Nifti1Header") -> tuple[int, ...]:
    """Shape without the trailing axes of length 1 that some programs write."""
    shape = tuple(map(int, header.get_data_shape()))
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _check_place(header: "nibabel.nifti1.Nifti1Header", path: Path) -> None:
    kind = header.get_data_dtype()
    if kind.kind not in "iuf":
        shown = f"in color ({', '.join(kind.names)})" if kind.names else f"of the type {kind}"
        fix = "Save it with one gray value a voxel, for example one channel."
        raise refusal(path, f"its values are {shown}, not grey", fix).error()
    if float(header["vox_offset"]) > MOST_BEFORE:
        raise refusal(path, "its voxels begin too far from its start", DAMAGED).error()
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):  # unknown: millimeters by convention
        raise refusal(path, f"its spacing is in {unit}", "Write it in mm.").error()
    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes == (0, 0):
        what = "it does not say how it lies (sform and qform are both unset)"
        raise refusal(path, what, NOT_SAID).error()
    ways = np.asarray(header.get_sform()), np.asarray(header.get_qform())
    if codes[0] == codes[1] and not np.allclose(*ways, atol=0.1):
        what = f"it has two orientations (sform and qform) of one code, {codes[0]}, that differ"
        raise refusal(path, what, "Keep the one that is right.").error()


def _other(
    header: "nibabel.nifti1.Nifti1Header", affine: Float64[ndarray, "4 4"]
) -> Float64[ndarray, "4 4"] | None:
    """The qform, where there is a sform too and they differ."""
    if min(int(header["sform_code"]), int(header["qform_code"])) < 1:
        return None
    qform = np.asarray(header.get_qform(), dtype=np.float64)
    same = apart(affine, qform, _shape(header)) <= NEAR * min(spacing_of(affine))
    return None if same else qform


def _step(header: "nibabel.nifti1.Nifti1Header") -> float:
    """Step between the values of a file that rescales integers; 0 if it does not."""
    slope = float(header["scl_slope"])
    rescaled = header.get_data_dtype().kind in "iu" and np.isfinite(slope) and slope not in (0, 1)
    return abs(slope) if rescaled else 0.0


def _window(header: "nibabel.nifti1.Nifti1Header") -> tuple[float, float] | None:
    low, high = float(header["cal_min"]), float(header["cal_max"])
    return (low, high) if low < high else None
