"""Reader of folders for classification."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from medshot.data import omniglot
from medshot.data.checks.labels import check_labels
from medshot.data.checks.rows import class_names
from medshot.data.dataset import Dataset
from medshot.data.layouts import medmnist
from medshot.data.layouts.recognize import read_manifest
from medshot.data.readers.metadata import digest, folder_metadata, read_rows, refuse_two_labels
from medshot.data.readers.registry import reads
from medshot.data.tables.labels import Row
from medshot.data.transforms import ImagePreprocessing
from medshot.tasks import Classification


def is_archive(folder: Path) -> bool:
    """Whether a path names archives of Omniglot or MedMNIST."""
    return omniglot.recognizes(folder) or medmnist.has_labels(folder)


@reads(Classification.kind, where=is_archive, check=check_labels)
def labelled(folder: Path, channels: int | None, size: int | None) -> Dataset:
    """Read the images of `folder` with a label each; default 3 x 64 x 64."""
    if omniglot.recognizes(folder):
        return omniglot.load(folder, channels=channels or 1, size=size or 28)
    if medmnist.archive_of(folder):
        return medmnist.load(folder, Classification.kind, channels, size)
    form = ImagePreprocessing(channels=channels or 3, size=size or 64)
    found, everything = read_rows(read_manifest(folder), lambda row: _read(row, form))
    kept = refuse_two_labels(found, [digest for _, digest in everything])
    rows, read = [found[i] for i in kept], [everything[i] for i in kept]
    digests = [digest for _, digest in read]
    counts = Counter(row.label for row in rows)
    labels = tuple(sorted(counts))
    notes = tuple(doubt.sentence for doubt in class_names(counts))
    return Dataset(
        x=torch.from_numpy(np.stack([pixels for pixels, _ in read])),
        y=torch.tensor([labels.index(row.label) for row in rows]),
        labels=labels,
        preprocessing=form,
        **folder_metadata(folder, rows, digests, notes=notes),
    )


def _read(row: Row, form: ImagePreprocessing) -> tuple[np.ndarray, str]:
    return form.pixels(row.path), digest(row.path)
