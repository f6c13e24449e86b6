"""Named evaluation protocols and their train, validation and test sets.

A protocol fixes the classes, the image form, the episodes (all of them, by seed) and the
reported metrics. Numbers are comparable if and only if they have the same protocol name.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from medshot.core import DataError, unknown
from medshot.data import omniglot
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.data.load import load_one

FINN17_SEED = 1
FINN17_SIZES = {
    "train": (0, 1100),
    "val": (1100, 1200),
    "trainval": (0, 1200),
    "test": (1200, 1623),
}


def snell17_classes(root: Path, part: str) -> Dataset:
    """Characters of `part` with their rotations as classes, from the published list.

    The list is that of Vinyals et al. 2016 as distributed with the code of Snell et al. 2017
    (jakesnell/prototypical-networks): 4112 + 688 + 1692 classes. It is read from
    omniglot/splits/vinyals in the data folder. As published, four characters of Gurmukhi are in
    the test part and the others in the training part.
    """
    folder = root / "omniglot"
    classes = omniglot.read_class_list(folder / "splits" / "vinyals" / f"{part}.txt")
    return omniglot.load(folder, rotations=True, classes=classes)


def finn17_classes(root: Path, part: str) -> Dataset:
    """1100, 100 or 423 of the 1623 characters, unrotated (episodes rotate them).

    The authors' code shuffles the names in file-system order, which is not reproducible. We
    shuffle the sorted names with our own seed.
    """
    everything = omniglot.load(root / "omniglot")
    order = np.random.default_rng(FINN17_SEED).permutation(len(everything.labels))
    low, high = FINN17_SIZES[part]
    return everything.only(sorted(order[low:high].tolist()))


def medical_set(name: str) -> Callable[[Path, str], Dataset]:
    """Reader of `cls_<name>`: a set is held out whole, so it has only a test part."""

    def read(root: Path, part: str) -> Dataset:
        if part != "test":
            raise DataError(
                f"cls_{name} is held out whole. Meta-train on the other sets, with "
                "`medshot train ... --data` for each of them."
            )
        return load_one(root / f"cls_{name}")

    return read


PARTS = ("train", "val", "trainval", "test")
VARIABLE = "MEDSHOT_DATA"


@dataclass(frozen=True)
class Protocol:
    """Definition of an evaluation; images are `channels` x `size` x `size`."""

    name: str
    source: str  # the paper, and where the list of classes comes from
    read: Callable[[Path, str], Dataset]  # the folder of all data, one of PARTS
    way: int | None  # None: all classes
    shot: int
    query: int  # images per class
    episodes: int
    channels: int
    size: int
    scaling: str
    rotate: bool = False  # rotate each class of an episode at random
    seed: int = 1234

    def dataset(self, part: str = "test", root: str | Path | None = None) -> Dataset:
        """Images of one part; `root` is the data folder, by default $MEDSHOT_DATA."""
        if part not in PARTS:
            raise unknown(part, PARTS, kind="part of a protocol")
        return self.read(data_root(root), part)

    def sampler(self, dataset: Dataset) -> EpisodeSampler:
        """Episode sampler of the protocol on `dataset`."""
        way = self.way or len(dataset.labels)
        options = {"seed": self.seed, "rotate": self.rotate}
        return EpisodeSampler(dataset, way=way, shot=self.shot, query=self.query, **options)


def protocol(name: str) -> Protocol:
    """Return the protocol called `name`.

    Raises:
        ConfigError: an unknown name.
    """
    known = protocols()
    if name not in known:
        raise unknown(name, known, kind="protocol")
    return known[name]


def protocols() -> MappingProxyType[str, Protocol]:
    """All protocols by name."""
    made = [*_omniglot(), *_medical()]
    return MappingProxyType({p.name: p for p in made})


def data_root(root: str | Path | None = None) -> Path:
    """Folder that holds the public data sets, one subfolder each.

    Raises:
        DataError: it is not given and $MEDSHOT_DATA is not set.
    """
    found = root or os.environ.get(VARIABLE)
    if not found:
        raise DataError(
            f"The folder of the public data is not known. Set {VARIABLE} to the folder that holds "
            "omniglot, cls_skin_ham10000, ... (see docs/protocols.md)."
        )
    return Path(found)


def _omniglot() -> list[Protocol]:
    snell = "Snell et al. 2017, arXiv:1703.05175; classes: the list published with its code"
    finn = "Finn et al. 2017, arXiv:1703.03400; classes: 1100/100/423 drawn with our own seed"
    form = {"channels": 1, "size": 28, "scaling": "invert"}
    return [
        Protocol(f"snell17/omniglot/{w}w{s}s", snell, snell17_classes, w, s, 15, 1000, **form)
        for w, s in ((5, 1), (5, 5), (20, 1), (20, 5))
    ] + [
        Protocol(
            f"finn17/omniglot/{w}w{s}s", finn, finn17_classes, w, s, s, 600, **form, rotate=True
        )
        for w, s in ((5, 1), (5, 5), (20, 1), (20, 5))
    ]


def _medical() -> list[Protocol]:
    form = {"channels": 3, "size": 64, "scaling": "standard"}
    source = "medshot: all classes of one set, never seen in meta-training, split by patient"
    return [
        Protocol(f"medshot26/{name}/{s}s", source, medical_set(name), None, s, 10, 600, **form)
        for name in MEDICAL
        for s in (1, 5, 10)
    ]


MEDICAL = (
    *("brain_mri_tumor", "covid_ct", "covid_cxr", "head_ct_hemorrhage", "lung_ct_iqoth"),
    *("lung_histology", "medical_mnist", "pneumonia_mnist", "skin_ham10000"),
)
