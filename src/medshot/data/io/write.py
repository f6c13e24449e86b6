"""Write masks to NIfTI and DICOM, on the grid of their image.

A mask is a prediction (`predictor.predict(path)`), in the storage order of its file, or an array of
class numbers in the order of `read_volume(path).values`: [z, y, x].
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt8, UInt16
from numpy import ndarray

from medshot.core import DataError, mask_numbers
from medshot.core.atomic import refuse_taken
from medshot.core.prediction import HIGHEST_NUMBER, MaskPrediction
from medshot.data.io.formats.nifti import write_nifti
from medshot.data.io.registry import DICOM, dicom
from medshot.data.io.volume import Volume

Mask = Integer[ndarray, "z h w"] | MaskPrediction


def write_nifti_mask(mask: Mask, like: Volume, path: str | Path) -> None:
    """Write class numbers as NIfTI, voxel for voxel on the grid of `like` as its file has it.

    `mask` is a prediction, or an array [z, y, x] like `like.values`.

    Raises:
        DataError: the mask is of another size than `like`, or holds no class numbers, or the name
            ends in neither .nii nor .nii.gz.
        SaveError: the file exists, or cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise DataError(f"{path} is no name for a NIfTI file. End it in .nii or .nii.gz.")
    refuse_taken(path)
    write_nifti(stored_mask(mask, like), like, path)


def write_dicom_seg(
    mask: Mask,
    like: Volume,
    path: str | Path,
    labels: Sequence[str],
    *,
    patient: bool = False,
) -> None:
    """Write class numbers as a DICOM segmentation that refers to the series of `like`.

    Args:
        mask: a prediction, or an array [z, y, x], on the grid of `like`, which was read from DICOM.
        like: the volume of the mask.
        path: a name that ends in .dcm.
        labels: the names of the classes; `labels[0]` is background and gets no segment. Where they
            are numbers ("background", "1", "2", "4"), the mask holds these numbers.
        patient: copy name, number, birth date and study from the series. Without it they stay
            empty, and only the identifiers of study, series and images tie the file to them.

    Raises:
        DataError: as `write_nifti_mask`; too few labels; or `like` is not from DICOM.
        SaveError: something is there already, or it cannot be written.
    """
    path = Path(path)
    indices = _indices(mask, like, path, labels)
    dicom("seg").write_seg(stored_mask(indices, like), like, path, labels, patient)


def write_dicom_report(
    mask: Mask,
    like: Volume,
    path: str | Path,
    labels: Sequence[str],
    *,
    patient: bool = False,
) -> None:
    """Write the volume of each class, mm³, as a DICOM structured report that refers to the series.

    Arguments and errors are those of `write_dicom_seg`.
    """
    path = Path(path)
    indices = _indices(mask, like, path, labels)
    dicom("report").write_report(indices, like, path, labels, patient)


def stored_mask(mask: Mask, like: Volume) -> UInt8[ndarray, "i j k"] | UInt16[ndarray, "i j k"]:
    """A mask in the storage order of the file of `like`, in the smallest dtype.

    Raises:
        DataError: as `write_nifti_mask`.
    """
    mask = _turned(mask, like)
    if mask.shape != like.values.shape:
        sizes = [" x ".join(map(str, shape)) for shape in (mask.shape, like.values.shape)]
        raise DataError(
            f"The mask has {sizes[0]} voxels, and {like.source} has {sizes[1]} (z, y, x). Predict "
            "on the volume itself, or resample the mask to its grid."
        )
    if mask.min() < 0 or mask.max() > HIGHEST_NUMBER:
        raise DataError(
            f"The mask for {like.source} holds values from {mask.min()} to {mask.max()}. Class "
            f"numbers are from 0 to {HIGHEST_NUMBER}."
        )
    kind = np.uint8 if mask.max() < 256 else np.uint16
    return np.ascontiguousarray(like.grid.turn_back(mask), dtype=kind)


def _turned(mask: Mask, like: Volume) -> Integer[ndarray, "z h w"]:
    """A mask in the order of `like.values`, if it is a prediction for that file."""
    if isinstance(mask, MaskPrediction):
        return like.grid.turn(mask.mask) if mask.mask.shape == like.grid.shape else mask.mask
    return mask


def _indices(
    mask: Mask, like: Volume, path: Path, labels: Sequence[str]
) -> Integer[ndarray, "z h w"]:
    """Position in `labels` of each class number, [z, y, x]: segments have no gaps."""
    mask = _turned(mask, like)
    if path.suffix.lower() != DICOM:
        raise DataError(f"{path} is no name for a DICOM file. End it in .dcm.")
    numbers = mask_numbers(labels)
    strange = np.setdiff1d(mask, numbers)
    if strange.size or len(labels) < 2:
        raise DataError(
            f"The mask for {like.source} holds the class {strange[-1] if strange.size else 0}, and "
            f"the labels are {', '.join(labels) or 'none'}. Name all classes, first the background."
        )
    refuse_taken(path)
    return np.searchsorted(numbers, mask)
