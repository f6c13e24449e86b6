"""MedMNIST archives: one `.npz` with images and labels of three parts.

Source: Yang et al. 2023, Scientific Data 10, 41, https://medmnist.com: `train_images` (n h w, or n
h w 3) and `train_labels` (n 1, or n k findings), likewise `val` and `test`. A path names the
archive or a folder with one (its training part), or a part: `pneumoniamnist.npz/test`.
"""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy import ndarray

from medshot.core import DataError
from medshot.data.arrays import dataset
from medshot.data.dataset import Dataset
from medshot.data.layouts.content import bad, counted

PARTS = ("train", "val", "test")
SAME = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
LARGEST = 2**34  # bytes of all arrays
COLORS = (1, 3)


def archive_of(path: Path) -> tuple[Path, str] | None:
    """The archive that a path names, and the part; None where it names none."""
    part = SAME.get(path.name.lower(), path.name.lower())
    if path.parent.suffix.lower() == ".npz" and part in PARTS:
        return (path.parent, part) if _arrays(path.parent) else None
    if path.is_file():
        return (path, "train") if path.suffix.lower() == ".npz" and _arrays(path) else None
    found = [f for f in sorted(path.glob("*.npz")) if _arrays(f)] if path.is_dir() else []
    if len(found) > 1:
        names = " or ".join(f.name for f in found[:3])
        raise DataError(f"{path} holds several archives of MedMNIST: name one, {names}.")
    return (found[0], "train") if found else None


def has_labels(path: Path) -> bool:
    """Whether a path names an archive with one label an image, or several archives."""
    try:
        found = archive_of(path)
        return found is not None and _columns(*found) == 1
    except DataError:  # said where it is read
        return True


def has_findings(path: Path) -> bool:
    """Whether a path names an archive with several findings an image."""
    return not has_labels(path) and archive_of(path) is not None


def load(path: Path, task: str, channels: int | None, size: int | None) -> Dataset:
    """Read one part of an archive.

    Raises:
        DataError: it is damaged, too large, of volumes, or has no such part.
    """
    found = archive_of(path)
    if found is None:
        raise DataError(f"{path} is no archive of MedMNIST.")
    archive, part = found
    x, y = (_array(archive, f"{part}_{what}") for what in ("images", "labels"))
    if x.ndim > 3 and x.shape[-1] not in COLORS:
        what = "it holds volumes with a label each, and labels are learned of images"
        raise bad(archive, what, "Take the archive of images, or save slices with labels.csv.")
    if x.dtype != np.uint8 or len(x) != len(y) or y.ndim != 2:
        what = f"{part}: {x.dtype} images of shape {x.shape} and labels of shape {y.shape}"
        raise bad(archive, what, "Download it again: images are 8-bit, labels n x k.")
    targets = y[:, 0] if y.shape[1] == 1 else y
    read = dataset(x, targets.astype(np.int64), task=task, name=archive.stem)
    others = [p for p in PARTS if p != part and f"{p}_images" in _arrays(archive)]
    line = f"Read as MedMNIST: {counted(len(read), 'image')} of {part} from {archive.name}"
    more = " and ".join(f"{archive.name}/{other}" for other in others)
    line += f"; give {more} for the other parts." if others else "."
    read = replace(read, notes=(*read.notes, line), split=(part,) * len(read))
    own = read.preprocessing
    return read.at(channels or own.channels, size or own.size)


def _arrays(path: Path) -> set[str]:
    """Names of the arrays of an archive of MedMNIST; empty for other files."""
    try:
        with zipfile.ZipFile(path) as opened:
            names = {name.removesuffix(".npy") for name in opened.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()
    return names if {"train_images", "train_labels"} <= names else set()


def _columns(path: Path, part: str) -> int:
    labels = _array(path, f"{part}_labels")
    return labels.shape[1] if labels.ndim == 2 else 1


def _array(path: Path, name: str) -> ndarray:
    try:
        with zipfile.ZipFile(path) as opened:
            held = opened.getinfo(f"{name}.npy").file_size
        if held > LARGEST:
            raise ValueError(f"{name} has {held} bytes, over {LARGEST}")
        with np.load(path) as opened:
            return opened[name]
    except KeyError as error:
        what = f"it has no array {name}"
        raise bad(path, what, "Its arrays are train_images, train_labels, ...") from error
    except Exception as error:  # zipfile, zlib and NumPy raise many on damaged bytes
        raise bad(path, f"{name} cannot be read ({error})", "Download it again.") from error
