"""Read DICOM series and multi-frame files (enhanced CT and MR) as volumes.

Slices are sorted by position; a series that is not one regular stack is an error.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom
import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray
from pydicom import Dataset

from medshot.core import DataError
from medshot.data.checks.issue import refusal
from medshot.data.io.dicom.header import KIND, damaged, header, header_window, modality
from medshot.data.io.dicom.image import slice_values
from medshot.data.io.dicom.picture import GREY, SIZE, padding
from medshot.data.io.registry import DICOM, is_dicom, is_hidden
from medshot.data.io.volume import LPS_TO_RAS, Volume, check_size, volume

TWICE = 0.02  # of the usual slice distance: nearer slices lie in one place
OFF = 0.1  # tolerance along the line of slices, relative to their distance
ASIDE = 0.25  # tolerance across it, relative to the smallest spacing
TURNED = 1e-3  # tolerance of direction cosines between slices
ROUNDED = 0.01  # of the length of a direction
WHOLE = "Export the whole series again, or take another."
SEVERAL = "Keep one of them: several time points or echoes are several volumes."


@dataclass(frozen=True, eq=False)
class Slice:
    """One file and its header."""

    path: Path
    header: Dataset

    @property
    def position(self) -> Float64[ndarray, "3"]:
        """Position of the first pixel in mm, LPS."""
        return np.asarray(self.header.ImagePositionPatient, dtype=np.float64)

    @property
    def directions(self) -> Float64[ndarray, "2 3"]:
        """Direction cosines of a row and of a column."""
        found = np.asarray(self.header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        length = np.linalg.norm(found, axis=1, keepdims=True)  # 1, but for rounding
        return found / np.where(np.abs(length - 1) < ROUNDED, length, 1)

    @property
    def spacing(self) -> Float64[ndarray, "2"]:
        """Millimetres between rows, and between columns."""
        return np.asarray(self.header.PixelSpacing, dtype=np.float64)


def ordered(slices: Sequence[Slice]) -> list[Slice]:
    """Sort the slices of one series by position, and check that they are one regular stack.

    Raises:
        DataError: a slice without position or size, of another size or angle, missing, or twice.
    """
    for one in slices:
        _check_said(one)
        _check_alike(one, slices[0])
    normal = np.cross(*slices[0].directions)
    found = sorted(slices, key=lambda one: float(one.position @ normal))
    depths = np.array([one.position @ normal for one in found])
    _check_twice(found, np.diff(depths))
    _check_line(found, depths, normal)
    return found


def affine_of(slices: Sequence[Slice]) -> Float64[ndarray, "4 4"]:
    """Index (column, row, slice, 1) to mm in RAS, of slices in order (PS3.3 C.7.6.2.1.1).

    Step and origin are those of the line of least squares through all positions, which are often
    rounded.
    """
    first = slices[0]
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[1]
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    affine[:3, 2:] = line_through(np.stack([one.position for one in slices])).T
    return LPS_TO_RAS @ affine


def line_through(places: Float64[ndarray, "n d"]) -> Float64[ndarray, "2 d"]:
    """Step and start of the line of least squares through points at equal steps."""
    k = np.arange(len(places)) - (len(places) - 1) / 2
    step = k @ (places - places[0]) / (k @ k)
    start = places[0] + (places - places[0]).mean(0) + k[0] * step
    return np.stack([step, start])


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


def _check_twice(slices: Sequence[Slice], steps: Float64[ndarray, "n"]) -> None:
    near = TWICE * max(float(np.median(steps)), min(slices[0].spacing))
    for one, after, step in zip(slices, slices[1:], steps.tolist(), strict=False):
        if step <= near:
            uid = one.header.get("SOPInstanceUID")
            if uid and uid == after.header.get("SOPInstanceUID"):
                what = f"it is a copy of {one.path.name} (the same SOPInstanceUID)"
                raise refusal(after.path, what, "Take one of the two out.").error()
            what = f"it lies in the same place as {one.path.name}"
            raise refusal(after.path, what, SEVERAL).error()


def _check_line(
    slices: Sequence[Slice], depths: Float64[ndarray, "n"], normal: Float64[ndarray, "3"]
) -> None:
    """Check that slices lie at equal steps on a line: each against the line, not its neighbor.

    A position that was rounded is off by one rounding; the distance of two neighbors by two.
    """
    places = np.stack([one.position for one in slices])
    step, start = line_through(places)
    off = places - start - np.arange(len(places))[:, None] * step
    if np.abs(off @ normal).max() > OFF * abs(step @ normal):
        raise _uneven(slices, np.diff(depths))
    aside = np.linalg.norm(off - np.outer(off @ normal, normal), axis=1)
    if aside.max() > ASIDE * min(*slices[0].spacing, float(np.linalg.norm(step))):
        worst = slices[int(aside.argmax())]
        what = f"it lies {aside.max():.3g} mm off the line of all slices"
        raise refusal(worst.path, what, WHOLE).error()


def _uneven(slices: Sequence[Slice], steps: Float64[ndarray, "n"]) -> DataError:
    """The error for the step that differs most from the others."""
    usual = float(np.median(steps))
    k = int(np.abs(steps - usual).argmax())
    between = f"between {slices[k].path.name} and {slices[k + 1].path.name}"
    far = f"{steps[k]:.4g} mm where others are {usual:.4g} mm apart"
    missing = round(steps[k] / usual) - 1
    if missing > 0 and abs(steps[k] / usual - missing - 1) < OFF:
        what = f"{missing} slice(s) are missing {between}: they are {far}"
    else:
        what = f"the distance between slices changes {between}: they are {far}"
    return refusal(slices[0].path.parent, what, WHOLE).error()


PER_FRAME = "PerFrameFunctionalGroupsSequence"
ASKED = (*KIND, *SIZE, "PhotometricInterpretation", PER_FRAME)
FRAMES = "A volume needs frames that each say where they lie, at equal steps."


def read_frames(path: Path) -> Volume:
    """Read the volume in a multi-frame file.

    Raises:
        DataError: no frames, or only one, or frames in time and not in space, or in color.
    """
    found = header(path, ASKED)
    if "Rows" not in found:
        what = f"it holds no image (its modality is {modality(found)})"
        raise refusal(path, what, "Name a file or a folder of images.").error()
    if found.get("Modality") == "SEG":
        what = "it is a segmentation, not an image"
        raise refusal(path, what, "Read it as a mask.").error()
    frames = int(found.get("NumberOfFrames") or 1)
    if frames == 1:
        what = "it is a single slice, not a volume"
        raise refusal(path, what, "Name the folder with all slices of its series.").error()
    check_size((int(found.Columns), int(found.Rows), frames), 4, path)
    if found.get("PhotometricInterpretation") not in GREY:
        raise refusal(path, "it is in colour", "A volume is of grey frames.").error()
    if PER_FRAME not in found:
        raise refusal(path, "its frames do not say where they lie (a film?)", FRAMES).error()
    return _stacked(path)


def _stacked(path: Path) -> Volume:
    try:
        image = highdicom.imread(path)
        near = 2 * OFF  # between neighbors, which may both be off
        if image.get_volume_geometry(rtol=near) is None or not _on_line(image):
            raise refusal(path, "its frames are no regular stack in space", FRAMES).error()
        found = image.get_volume(dtype=np.float32, apply_real_world_transform=False, rtol=near)
        padded = _padding(image)
    except DataError:
        raise
    except Exception as error:  # highdicom raises any exception on damaged bytes
        raise damaged(path, error) from None
    affine = LPS_TO_RAS @ np.asarray(found.affine)[:, [2, 1, 0, 3]]  # index (column, row, frame)
    values = found.array if padded is None else np.ma.MaskedArray(found.array, padded)
    return volume(values.transpose(2, 1, 0), affine, path, header_window(image))


def _padding(image: highdicom.Image) -> Bool[ndarray, "z h w"] | None:
    """Where the stored values of a multi-frame file are padding."""
    if image.get("PixelPaddingValue") is None:
        return None
    kind = np.dtype(f"{'iu'[image.PixelRepresentation == 0]}{image.BitsAllocated // 8}")
    stored = image.get_volume(
        dtype=kind, apply_real_world_transform=False, apply_modality_transform=False
    )
    return padding(image, stored.array)


def _on_line(image: highdicom.Image) -> bool:
    """Whether frames lie at equal steps on a line, within the tolerance of slices."""
    frames = image.PerFrameFunctionalGroupsSequence
    places = [frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames]
    found = np.array(places, dtype=np.float64)
    main = np.linalg.svd(found - found.mean(0))[2][0]
    found = found[np.argsort(found @ main)]
    step, start = line_through(found)
    off = found - start - np.arange(len(found))[:, None] * step
    return bool(np.linalg.norm(off, axis=1).max() <= OFF * np.linalg.norm(step))


ONE = "Put each series into a folder of its own."


def read_series(folder: Path) -> Volume:
    """Read the volume in the files of `folder` (not below it), sorted by slice position.

    CT is in HU. Files that are not DICOM images (a report, a table) are skipped.

    Raises:
        DataError: no series or several, a file that is damaged, or slices that do not make one
            regular stack: one missing, twice, turned or of another size.
    """
    found = series_slices(folder)
    if len(found) == 1:
        return read_frames(found[0].path)
    slices = ordered(found)
    first = slices[0].header
    shape = (int(first.Columns), int(first.Rows), len(slices))
    check_size(shape, 4, folder)
    values = np.ma.empty(shape[::-1], dtype=np.float32)
    for k, one in enumerate(slices):
        values[k] = slice_values(one.path)
    windows = {header_window(one.header) for one in slices}
    window = windows.pop() if len(windows) == 1 else None
    return volume(values.transpose(2, 1, 0), affine_of(slices), folder, window)


def series_slices(folder: Path) -> list[Slice]:
    """The image files of the one series in `folder`, in order of name.

    Raises:
        DataError: none, or several series.
    """
    series = _series_in(folder)
    if not series:
        what = "it holds no DICOM images (of folders below it, name the one that is meant)"
        raise refusal(folder, what, "Name a folder with the files of one series.").error()
    if len(series) > 1:
        counts = ", ".join(f"{len(s)} file(s) like {s[0].path.name}" for s in series)
        raise refusal(folder, f"it holds {len(series)} series: {counts}", ONE).error()
    return series[0]


def series_summary(folder: Path) -> str:
    """Describe the image series in `folder`: modality, number of files, and one of them.

    Raises:
        DataError: a file is damaged.
    """
    said = [
        f"{modality(one[0].header)}, {len(one)} file(s) like {one[0].path.name}"
        for one in _series_in(folder)
    ]
    return "; ".join(said)


def _series_in(folder: Path) -> list[list[Slice]]:
    """The image files of each series, in order of name."""
    series: dict[str, list[Slice]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if _is_file(path):
            one = Slice(path, header(path))
            if "Rows" in one.header and one.header.get("Modality") != "SEG":
                series[str(one.header.get("SeriesInstanceUID"))].append(one)
    return list(series.values())


def _is_file(path: Path) -> bool:
    named = path.suffix.lower() == DICOM and path.is_file()
    return not is_hidden(path) and (named or is_dicom(path))
