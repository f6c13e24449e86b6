"""One DICOM file of many frames as a volume: enhanced CT and MR, by highdicom."""

from pathlib import Path

import highdicom
import numpy as np

from medshot.core.errors import DataError
from medshot.data.finding import refusal
from medshot.data.formats.dicom_header import KIND, SIZE, damaged, header, modality, window_of
from medshot.data.formats.dicom_pixels import GREY
from medshot.data.formats.dicom_slices import LPS_TO_RAS
from medshot.data.formats.volume import Volume, check_size, volume

PER_FRAME = "PerFrameFunctionalGroupsSequence"
ASKED = (*KIND, *SIZE, "PhotometricInterpretation", PER_FRAME)
FRAMES = "A volume needs frames that each say where they lie, at equal steps."


def read_frames(path: Path) -> Volume:
    """The volume in a file of many frames.

    Raises:
        DataError: no frames, or one only, or a film (frames in time, not in space), or in colour.
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
        if image.get_volume_geometry() is None:
            raise refusal(path, "its frames are no regular stack in space", FRAMES).error()
        found = image.get_volume(dtype=np.float32, apply_real_world_transform=False)
    except DataError:
        raise
    except Exception as error:  # on damaged bytes, highdicom raises whatever it falls over
        raise damaged(path, error) from None
    affine = LPS_TO_RAS @ np.asarray(found.affine)[:, [2, 1, 0, 3]]  # index (column, row, frame)
    return volume(found.array.transpose(2, 1, 0), affine, path, window_of(image))
