"""A data set from arrays, or from a torch `Dataset` of images and labels: `medshot.dataset`."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from medshot.core.errors import ConfigError, DataError, ShapeError, unknown
from medshot.data.dataset import Dataset, Found, Graded, Measured, resized
from medshot.data.segmented import Segmented
from medshot.data.transforms import ImagePreprocessing

TASKS = ("classification", "multi-label", "ordinal", "regression", "segmentation")
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
            read once, in order. Images that are no squares are squeezed to one.
        y: a class an image (names, or numbers of `labels`); numbers, `n`; findings, `n k` of 0 and
            1; grades; or masks `n h w` of class numbers, 0 being background.
        labels: the names of the classes in order; of numbers, what they are called.
        patients: whom each image is from; None, NaN or "" where that is not known.
        task: classification, multi-label, ordinal, regression or segmentation; by default what the
            shape and type of `y` say, which is never ordinal.
        name: what results call it.

    Raises:
        ShapeError: images of another shape, or as many targets or patients as there are no images.
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
    images, targets = pixels_of(x), _numpy(y)
    if len(images) != len(targets):
        raise ShapeError(f"Got {len(images)} images but {len(targets)} targets: one an image.")
    kind = task or _guessed(targets)
    if kind not in TASKS:
        raise unknown(kind, TASKS, kind="task for arrays")
    cls, encoded, names = _targets(kind, targets, None if labels is None else list(labels))
    side = max(images.shape[2:])
    form = ImagePreprocessing(channels=images.shape[1], size=side)
    if kind == "segmentation":
        encoded = _masks(encoded, images, side)
    square = images if images.shape[2] == images.shape[3] else resized(images, form.channels, side)
    digests = [hashlib.sha256(image.numpy().tobytes()).hexdigest()[:SHORT] for image in images]
    groups = _groups(patients, len(images))
    whole = hashlib.sha256(repr((digests, targets.tolist(), groups.tolist())).encode())
    doubts = () if (groups >= 0).any() else ("No patient ids: scores may be optimistic.",)
    said = {"hash": whole.hexdigest()[:SHORT], "contents": tuple(digests), "notes": doubts}
    return cls(name, square, encoded, tuple(names), groups, form, **said)


def _read(source: Any) -> tuple[list[ndarray], list[Any]]:
    pairs = [source[i] for i in range(len(source))]
    if not pairs or any(not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs):
        raise DataError("A torch Dataset must give pairs (image, label), one at least.")
    images = [_numpy(image) for image, _ in pairs]
    if len({image.shape for image in images}) > 1:
        shapes = ", ".join(sorted({str(image.shape) for image in images}))
        raise ShapeError(f"The images have several shapes: {shapes}. Resize them to one.")
    return images, [_numpy(label) if isinstance(label, Tensor) else label for _, label in pairs]


def _numpy(values: Any) -> ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def pixels_of(x: Any) -> Tensor:
    """As `n c h w` in 8 bits."""
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


def _targets(
    kind: str, y: ndarray, labels: list[str] | None
) -> tuple[type[Dataset], Tensor, list[str]]:
    """The class of data set, the targets as it holds them, and their names."""
    if kind == "segmentation":
        return Segmented, *_classes_of_masks(y, labels)
    if kind == "multi-label":
        names = labels or [f"finding {i + 1}" for i in range(y.shape[-1])]
        if y.ndim != 2 or y.shape[1] != len(names) or not np.isin(y, (0, 1)).all():
            raise DataError(
                f"Findings are n x {len(names)} of 0 and 1, one column a label, not {y.shape}."
            )
        return Found, torch.from_numpy(y.astype(np.int64)), names
    flat = y.reshape(len(y)) if y.size == len(y) else None
    if flat is None:
        raise ShapeError(f"Targets of shape {y.shape}: for {kind} one an image.")
    if kind == "regression":
        if flat.dtype.kind not in "fiu" or not np.isfinite(flat.astype(float)).all():
            raise DataError("Regression needs a finite number an image.")
        return Measured, torch.from_numpy(flat.astype(np.float32))[:, None], labels or ["value"]
    codes, names = _codes(flat, labels)
    return (Graded if kind == "ordinal" else Dataset), torch.from_numpy(codes), names


def _codes(y: ndarray, labels: list[str] | None) -> tuple[ndarray, list[str]]:
    if y.dtype.kind == "f":
        raise DataError("Classes are names or whole numbers; for numbers say task='regression'.")
    if y.dtype.kind in "iu" and labels is not None:
        if y.min() < 0 or y.max() >= len(labels):
            raise DataError(
                f"Class numbers go from {y.min()} to {y.max()}, and there are {len(labels)} "
                "labels, numbered from 0."
            )
        return y.astype(np.int64), labels
    values = sorted(set(y.tolist()))
    names = labels or [str(value) for value in values]
    told = [str(value) for value in y.tolist()]
    if others := sorted(set(told) - set(names)):
        raise DataError(f"{', '.join(others)} is not among the labels {', '.join(names)}.")
    return np.array([names.index(value) for value in told], dtype=np.int64), names


def _classes_of_masks(y: ndarray, labels: list[str] | None) -> tuple[Tensor, list[str]]:
    if y.ndim != 3 or y.dtype.kind not in "iub":
        raise DataError(f"Masks are n h w of class numbers, not {y.shape} of {y.dtype}.")
    most = int(y.max())
    names = labels or ["background", *(f"class {i}" for i in range(1, max(most, 1) + 1))]
    if most >= len(names) or y.min() < 0:
        raise DataError(
            f"Masks hold numbers from {y.min()} to {most}, and there are {len(names)} labels, of "
            "which the first is background."
        )
    return torch.from_numpy(y.astype(np.uint8)), names


def _masks(y: Tensor, images: Tensor, side: int) -> Tensor:
    if y.shape[1:] != images.shape[2:]:
        raise ShapeError(f"Masks of {tuple(y.shape[1:])} on images of {tuple(images.shape[2:])}.")
    fitted = torch.nn.functional.interpolate(y[:, None].float(), (side, side), mode="nearest-exact")
    return fitted[:, 0].byte()


def _groups(patients: Any, n: int) -> Tensor:
    if patients is None:
        return torch.full((n,), -1)
    given = patients.tolist() if isinstance(patients, Tensor | ndarray) else list(patients)
    if len(given) != n:
        raise ShapeError(f"Got {n} images and {len(given)} patients: one an image.")
    known = [None if each in (None, "") or str(each) == "nan" else str(each) for each in given]
    number = {who: i for i, who in enumerate(sorted({each for each in known if each is not None}))}
    return torch.tensor([-1 if each is None else number[each] for each in known])
