"""Slices of a DICOM series in their order, and what keeps them from being one volume."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from pydicom import Dataset

from medshot.data.finding import refusal

UNEVEN = 0.02  # of the usual step between slices
OFF = 0.1  # of the smallest spacing, off the line that the slices should lie on
TURNED = 1e-3  # between direction cosines
WHOLE = "Export the whole series again, or take another."
SEVERAL = "Keep one of them: several time points or echoes are several volumes."
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Slice:
    """One file and its header."""

    path: Path
    header: Dataset

    @property
    def position(self) -> Float64[ndarray, "3"]:
        """Of its first pixel, mm, LPS."""
        return np.asarray(self.header.ImagePositionPatient, dtype=np.float64)

    @property
    def directions(self) -> Float64[ndarray, "2 3"]:
        """Along a row and along a column."""
        found = np.asarray(self.header.ImageOrientationPatient, dtype=np.float64)
        return found.reshape(2, 3)

    @property
    def spacing(self) -> Float64[ndarray, "2"]:
        """Millimetres between rows, and between columns."""
        return np.asarray(self.header.PixelSpacing, dtype=np.float64)


def ordered(slices: Sequence[Slice]) -> list[Slice]:
    """Slices of one series by where they lie, all checked to be of one regular stack.

    Raises:
        DataError: one without place or size, of another size or angle, missing, or twice.
    """
    for one in slices:
        _check_said(one)
        _check_alike(one, slices[0])
    normal = np.cross(*slices[0].directions)
    found = sorted(slices, key=lambda one: float(one.position @ normal))
    depths = np.array([one.position @ normal for one in found])
    _check_steps(found, np.diff(depths))
    _check_line(found)
    return found


def affine_of(slices: Sequence[Slice]) -> Float64[ndarray, "4 4"]:
    """Index (column, row, slice, 1) to mm in RAS, of slices in order (PS3.3 C.7.6.2.1.1)."""
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[1]
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    affine[:3, 2] = (last.position - first.position) / (len(slices) - 1)
    affine[:3, 3] = first.position
    return LPS_TO_RAS @ affine


def _check_said(one: Slice) -> None:
    needed = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
    for name, count in needed.items():
        value = one.header.get(name)
        if value is None or len(value) != count:
            what = f"it does not say where it lies ({name} is missing)"
            raise refusal(one.path, what, WHOLE).error()


def _check_alike(one: Slice, first: Slice) -> None:
    for name in ("Rows", "Columns", "FrameOfReferenceUID", "Modality"):
        if one.header.get(name) != first.header.get(name):
            what = f"its {name} is not that of {first.path.name} in the same series"
            raise refusal(one.path, what, WHOLE).error()
    if np.abs(one.directions - first.directions).max() > TURNED:
        what = f"it is turned against {first.path.name} in the same series (a localiser?)"
        raise refusal(one.path, what, "Take it out, or take another series.").error()
    if not np.allclose(one.spacing, first.spacing, rtol=TURNED):
        what = f"its spacing is not that of {first.path.name} in the same series"
        raise refusal(one.path, what, WHOLE).error()


def _check_steps(slices: Sequence[Slice], steps: Float64[ndarray, "n"]) -> None:
    usual = float(np.median(steps))
    for one, after, step in zip(slices, slices[1:], steps.tolist(), strict=False):
        if step <= UNEVEN * max(usual, min(one.spacing)):
            what = f"it lies in the same place as {one.path.name}"
            raise refusal(after.path, what, SEVERAL).error()
        if abs(step - usual) <= UNEVEN * usual:
            continue
        between = f"between {one.path.name} and {after.path.name}"
        far = f"{step:.4g} mm where others are {usual:.4g} mm apart"
        missing = round(step / usual) - 1
        if missing > 0 and abs(step / usual - missing - 1) < 0.1:
            what = f"{missing} slice(s) are missing {between}: they are {far}"
        else:
            what = f"the distance between slices changes {between}: they are {far}"
        raise refusal(after.path.parent, what, WHOLE).error()


def _check_line(slices: Sequence[Slice]) -> None:
    places = np.stack([one.position for one in slices])
    straight = np.linspace(places[0], places[-1], len(places))
    off = np.linalg.norm(places - straight, axis=1)
    step = np.linalg.norm(straight[1] - straight[0])
    if off.max() > OFF * min(*slices[0].spacing, step):
        worst = slices[int(off.argmax())]
        what = f"it lies {off.max():.3g} mm off the line of the other slices"
        raise refusal(worst.path, what, WHOLE).error()
