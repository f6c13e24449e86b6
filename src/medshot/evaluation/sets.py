"""The parts (train, val, test) of each protocol's data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.sources import omniglot

FINN17_SEED = 1
FINN17_SIZES = {
    "train": (0, 1100),
    "val": (1100, 1200),
    "trainval": (0, 1200),
    "test": (1200, 1623),
}


def snell17_classes(root: Path, part: str) -> Dataset:
    """The characters of `part` with their rotations as classes, from the published list.

    The list is that of Vinyals et al. 2016 as it lies beside the code of Snell et al. 2017
    (jakesnell/prototypical-networks): 4112 + 688 + 1692 classes. It is read from
    omniglot/splits/vinyals in the data folder. Four characters of Gurmukhi are in its test
    part and the others in its training part, as published.
    """
    folder = root / "omniglot"
    classes = omniglot.read_class_list(folder / "splits" / "vinyals" / f"{part}.txt")
    return omniglot.load(folder, rotations=True, classes=classes)


def finn17_classes(root: Path, part: str) -> Dataset:
    """1100, 100 or 423 of the 1623 characters, unrotated (episodes turn them).

    The authors' code shuffles the names in the order in which the file system lists them, which
    nobody can repeat. We shuffle the sorted names with a seed of our own.
    """
    everything = omniglot.load(root / "omniglot")
    order = np.random.default_rng(FINN17_SEED).permutation(len(everything.labels))
    low, high = FINN17_SIZES[part]
    return everything.only(sorted(order[low:high].tolist()))


def medical_set(name: str) -> Callable[[Path, str], Dataset]:
    """All of `cls_<name>`: a set is held out whole, so it has a test part only."""

    def read(root: Path, part: str) -> Dataset:
        if part != "test":
            raise DataError(
                f"cls_{name} is held out whole: meta-train on the other sets, "
                "`medshot train ... --data` each of them."
            )
        return load_one(root / f"cls_{name}")

    return read
