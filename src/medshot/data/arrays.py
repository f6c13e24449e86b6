"""`medshot.dataset`: a data set from arrays, or from a torch `Dataset` of images and labels."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from medshot.core import TASKS, ConfigError, DataError, ShapeError
from medshot.data.checks.rows import class_names
from medshot.data.dataset import Dataset
from medshot.data.tables.cells import (
    clean,
    is_missing,
    patient_code,
    patient_numbers,
    several_spellings,
    spelled_alike,
)
from medshot.data.transforms import ImagePreprocessing

CHANNELS = (1, 3)
SHORT = 16  # hexadecimal digits of a hash


def dataset(
    x: Any,
    y: Any = None,
    *,
    labels: Sequence[str] | None = None,
    patients: Any = None,
    task: str | None = None,
    name: str = "arrays",
) -> Dataset:
    """Make a data set of images and targets that are in memory.

    Args:
        x: images, `n h w`, `n h w c` or `n c h w` with 1 or 3 channels, as 8-bit values or as
            numbers in [0, 1] (kept in 8 bits); or a torch `Dataset` of (image, label), which is
            read once, in order. Images that are not square are resized to a square.
        y: a class an image (names, or numbers of `labels`); numbers, `n`; findings, `n k` of 0 and
            1; grades; or masks `n h w` of class numbers, 0 being background.
        labels: the names of the classes in order; of numbers, what they are called.
        patients: a patient ID for each image; None, NaN or "" where unknown. IDs that differ in
            case, spaces, dashes or leading zeros only are one patient, with a note.
        task: classification, multi-label, ordinal, regression, segmentation, or one of your own
            that reads arrays; by default what the shape and type of `y` say, which is never
            ordinal.
        name: what results call it.

    Raises:
        ShapeError: images of another shape, or a different number of targets or patients.
        DataError: values out of range, or targets that do not fit the task or the labels.
        ConfigError: an unknown task.
    """
    if isinstance(x, TorchDataset):
        if y is not None:
            raise ConfigError("A torch Dataset brings its labels: leave y out.")
        labels = labels if labels is not None else getattr(x, "classes", None)
        x, y = _read(x)
    if y is None:
        raise DataError("There are images and no targets: give y, a class an image for one.")
    images, targets = pixels_of(x), _clean(_numpy(y))
    if len(images) != len(targets):
        raise ShapeError(f"Got {len(images)} images but {len(targets)} targets: one an image.")
    kind = task or _guessed(targets)
    cls = TASKS.find(kind)
    kept, names = cls.from_array(targets, None if labels is None else list(labels))
    if cls.on_grid and kept.shape[1:] != images.shape[2:]:
        raise ShapeError(
            f"Masks of {tuple(kept.shape[1:])} on images of {tuple(images.shape[2:])}."
        )
    form = ImagePreprocessing(channels=images.shape[1], size=max(images.shape[2:]))
    square = images
    if images.shape[2] != images.shape[3]:
        square, kept = form.refit(images), cls(0).resize(kept, form)
    digests = [hashlib.sha256(image.numpy().tobytes()).hexdigest()[:SHORT] for image in images]
    codes = _codes(patients, len(images))
    groups, several = torch.tensor(patient_numbers(codes)), spelled_alike(filter(None, codes))
    whole = hashlib.sha256(repr((digests, targets.tolist(), groups.tolist())).encode())
    doubts = [] if (groups >= 0).any() else ["No patient ids: scores may be optimistic."]
    if several:
        doubts.append(f"{several_spellings(several)}.")
    if cls.by_class and targets.dtype.kind == "U":
        doubts += [each.sentence for each in class_names(Counter(targets.tolist()))]
    said = {"hash": whole.hexdigest()[:SHORT], "contents": tuple(digests), "notes": tuple(doubts)}
    return Dataset(name, square, kept, tuple(names), groups, form, task=cls(0), **said)


def _read(source: Any) -> tuple[list[ndarray], list[Any]]:
    pairs = [source[i] for i in range(len(source))]
    if not pairs or any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        raise DataError("A torch Dataset must give pairs (image, label), at least one.")
    images = [_numpy(image) for image, _ in pairs]
    if len({image.shape for image in images}) > 1:
        shapes = ", ".join(sorted({str(image.shape) for image in images}))
        raise ShapeError(f"The images have several shapes: {shapes}. Resize them to one.")
    return images, [_numpy(label) if isinstance(label, Tensor) else label for _, label in pairs]


def _numpy(values: Any) -> ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def pixels_of(x: Any) -> Tensor:
    """Convert images to `n c h w` in 8 bits."""
    found = _numpy(x)
    if found.ndim == 3:
        found = found[:, None]
    elif found.ndim == 4 and found.shape[1] not in CHANNELS and found.shape[3] in CHANNELS:
        found = found.transpose(0, 3, 1, 2)
    if found.ndim != 4 or found.shape[1] not in CHANNELS or 0 in found.shape:
        shape = " x ".join(map(str, _numpy(x).shape))
        raise ShapeError(
            f"Images of shape {shape} are neither n h w, nor n h w c, nor n c h w with 1 or 3 "
            "channels. Choose channels, or slices of a volume."
        )
    if found.dtype == np.uint8:
        return torch.from_numpy(np.ascontiguousarray(found))
    if found.dtype.kind != "f":
        raise DataError(
            f"Images of type {found.dtype}: give uint8, or numbers in [0, 1]. 16-bit values and "
            "Hounsfield units need a window first: ((x - low) / (high - low)).clip(0, 1)."
        )
    low, high = float(found.min()), float(found.max())
    if not (np.isfinite(low) and np.isfinite(high) and low >= 0 and high <= 1):
        raise DataError(
            f"Images with values from {low:g} to {high:g}: numbers must be in [0, 1]. Divide 8-bit "
            "values by 255, give other values a window: ((x - low) / (high - low)).clip(0, 1)."
        )
    return torch.from_numpy(np.ascontiguousarray((found * 255).round().astype(np.uint8)))


def _guessed(y: ndarray) -> str:
    if y.ndim == 3:
        return "segmentation"
    if y.ndim == 2 and y.shape[1] > 1:
        return "multi-label"
    return "regression" if y.dtype.kind == "f" else "classification"


def _clean(y: ndarray) -> ndarray:
    """Class names without invisible differences; numbers as they are.

    Raises:
        DataError: a name is missing (None, NaN, "").
    """
    if y.dtype.kind not in "OSU" or y.ndim != 1:
        return y
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in y.tolist()]
    if not any(isinstance(text, str) for text in texts):
        return y
    names = ["" if text is None else clean(str(text)) for text in texts]
    if missing := [i for i, name in enumerate(names) if is_missing(name)]:
        raise DataError(
            f"{len(missing)} of {len(names)} labels are missing (the first is number {missing[0]}, "
            f"{texts[missing[0]]!r}). Leave those images out."
        )
    return np.array(names)


def _codes(patients: Any, n: int) -> list[str]:
    if patients is None:
        return [""] * n
    given = patients.tolist() if isinstance(patients, Tensor | ndarray) else list(patients)
    if len(given) != n:
        raise ShapeError(f"Got {n} images and {len(given)} patients: one an image.")
    return [patient_code(each) for each in given]
