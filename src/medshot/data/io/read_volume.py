"""Read a volume of any format, or a mask on the grid of a volume."""

from pathlib import Path

import numpy as np
from jaxtyping import Integer, Shaped
from numpy import ndarray

from medshot.core import DataError
from medshot.core.prediction import HIGHEST_NUMBER
from medshot.data.checks.issue import refusal
from medshot.data.io.registry import VOLUMES, dicom, is_dicom, volume_format
from medshot.data.io.volume import Volume, by_one_affine, check_same_grid

NUMBERS = "A mask holds whole numbers: 0 is background, 1, 2, ... is what is marked."
ROUNDED = 1e-3  # tolerance of a class number in a file of floats


def read_volume(path: str | Path) -> Volume:
    """Read the 3D image in a file, or in a folder that holds one DICOM series.

    Raises:
        DataError: missing, damaged, of an unsupported format, too large, not one volume, without
            an orientation, NaN, or constant.
    """
    path = Path(path)
    found = _read(path)
    values = found.values
    bad = values.size - int(np.isfinite(values).sum()) if values.dtype.kind == "f" else 0
    if bad:
        what = f"{bad} of its {values.size} voxels are not finite (NaN or infinity)"
        raise refusal(path, what, "Replace them by the value of air, and save it again.").error()
    if values.min() == values.max():
        what = "it has the same value everywhere: there is nothing on it"
        raise refusal(path, what, "Export it again or leave it out.").error()
    return found


def read_mask_volume(path: str | Path, like: Volume) -> Integer[ndarray, "z h w"]:
    """Read the class numbers in a file, on the grid of `like`. A mask may be empty.

    Its storage order may differ from that of the image, if both cover the same voxels in space.

    Raises:
        DataError: as `read_volume`; or another size, spacing, position or orientation than `like`;
            or values that are not integers from 0 to 65535.
    """
    path = Path(path)
    found = by_one_affine(_read(path, like), like)
    check_same_grid(found, like)
    values = _whole(found)
    low, high = values.min(), values.max()
    if low < 0 or high > HIGHEST_NUMBER:
        raise refusal(path, f"its values are from {low:g} to {high:g}", NUMBERS).error()
    return values.astype(np.uint8 if high < 256 else np.uint16)


def _whole(mask: Volume) -> Shaped[ndarray, "z h w"]:
    """Values as whole numbers, which a rescaled file holds up to half of its step."""
    values = mask.values
    if values.dtype.kind != "f":
        return values
    bad = ~np.isfinite(values)
    if bad.any():
        what = f"it holds fractions or NaN: {int(bad.sum())} voxels are no number"
        raise refusal(mask.source, what, "Write 0, background, or a class number there.").error()
    near = mask.step / 2 + ROUNDED / 10 if mask.step < 1 else 0.0
    whole = np.rint(values)
    off = np.abs(values - whole)
    if off.max() > max(near, ROUNDED):
        worst = values.flat[int(off.argmax())]
        what = f"it holds fractions or NaN ({worst:.4g}): a picture or a probability, not classes"
        if not mask.step:
            raise refusal(mask.source, what, NUMBERS).error()
        what = f"{what}; or integers that its scl_slope of {mask.step:.4g} rounds too coarsely"
        fix = "Save it as integers without rescaling (nibabel: header.set_slope_inter(1, 0))."
        raise refusal(mask.source, what, f"{NUMBERS} {fix}").error()
    return whole


def _read(path: Path, like: Volume | None = None) -> Volume:
    """Read a volume; a DICOM segmentation for `like` is filled up with its empty slices."""
    if not path.exists():
        raise refusal(path, "it does not exist", "Correct the path.").error()
    if path.is_dir():
        return dicom("series").read_series(path)
    if is_dicom(path):
        if like and dicom("header").is_segmentation(path):
            return dicom("seg").read_seg(path, like)
        return dicom("series").read_frames(path)
    known = volume_format(path)
    if known is None:
        read = f"{', '.join(VOLUMES.all())}, .dcm, and a folder of one DICOM series are"
        what = f"files of this kind are not read as volumes; {read}"
        raise refusal(path, what, "Convert it first.").error()
    try:
        return known.read(path)
    except DataError:
        raise
    except Exception as error:  # libraries raise any exception on damaged bytes
        what, fix = f"it is damaged or truncated ({error})", "Copy or export it again."
        raise refusal(path, what, fix).error() from error
