"""Small volumes whose every voxel tells where it is."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
from numpy import ndarray

SHAPE = (5, 6, 7)  # i, j, k of the file
SPACING = (0.5, 2.0, 3.0)  # mm along i, j, k
ORIENTATIONS = [
    "".join(codes)
    for order in itertools.permutations(("RL", "AP", "SI"))
    for codes in itertools.product(*order)
]


def ramp(shape: tuple[int, ...] = SHAPE, dtype: type = np.int16) -> ndarray:
    return np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)


def affine_of(codes: str, spacing: tuple[float, ...] = SPACING) -> ndarray:
    """Index to RAS mm, for axes that grow to `codes` ("LAS": to the left, front and head)."""
    affine = np.zeros((4, 4))
    for axis, (code, mm) in enumerate(zip(codes, spacing, strict=True)):
        row = next(i for i, pair in enumerate(("RL", "AP", "SI")) if code in pair)
        affine[row, axis] = mm if code in "RAS" else -mm
    affine[:, 3] = -20, 30, 5, 1
    return affine


def write_nii(path: Path, values: ndarray, affine: ndarray, **header: object) -> Path:
    """By nibabel; `header` are fields that are set last."""
    image = nibabel.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm")
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def two_affines(values: ndarray, path: Path) -> Path:
    """A qform of code 1 and an sform of code 2: the one mirrors and shifts what the other says."""
    mirrored = np.diag([-1.0, 1.0, 2.0, 1.0])
    mirrored[0, 3] = 30
    image = nibabel.Nifti1Image(values.astype(np.int16), np.diag([1.0, 1.0, 2.0, 1.0]))
    image.set_qform(mirrored, 1)
    image.set_sform(np.diag([1.0, 1.0, 2.0, 1.0]), 2)
    nibabel.save(image, path)
    return path
