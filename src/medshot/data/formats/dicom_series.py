"""A folder of DICOM files of one series as a volume."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from medshot.data.finding import refusal
from medshot.data.formats.dicom_frames import read_frames
from medshot.data.formats.dicom_header import header, modality, window_of
from medshot.data.formats.dicom_pixels import slice_values
from medshot.data.formats.dicom_slices import Slice, affine_of, ordered
from medshot.data.formats.kind import DICOM, is_dicom
from medshot.data.formats.volume import Volume, check_size, volume

ONE = "Put each series into a folder of its own."


def read_series(folder: Path) -> Volume:
    """The volume in the files of `folder` (not below it), sorted by where each slice lies.

    CT is in HU. Files that are no DICOM images (a report, a table) are passed over.

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
    values = np.empty(shape[::-1], dtype=np.float32)
    for k, one in enumerate(slices):
        values[k] = slice_values(one.path)
    windows = {window_of(one.header) for one in slices}
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


def described(folder: Path) -> str:
    """The series of images in `folder` in words: modality, number of files, and one of them.

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
    return named or is_dicom(path)
