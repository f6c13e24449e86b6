"""Folders of images with a mask each."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from medshot.data.check_masks import check_masks
from medshot.data.finding import TABLE, Finding
from medshot.data.folders.about import about, named
from medshot.data.folders.kinds import reads
from medshot.data.folders.once import once
from medshot.data.folders.volumes import has_volume_masks
from medshot.data.manifest import read_manifest
from medshot.data.masks import fit_mask
from medshot.data.preprocess import ImagePreprocessing
from medshot.data.segmented import Segmented, read_pair
from medshot.data.table import Row, columns_of
from medshot.tasks import Segmentation


def has_masks(folder: Path) -> bool:
    """Whether labels.csv has a column `mask`, that of images, and none `label`."""
    columns = columns_of(folder / TABLE)
    return "mask" in columns and "label" not in columns and not has_volume_masks(folder)


def check_pairs(folder: Path) -> list[Finding]:
    """What is wrong or doubtful in a folder of images with masks."""
    return check_masks(folder, lambda row: read_pair(row)[1])


@reads(Segmentation.kind, where=has_masks, check=check_pairs)
def masked(folder: Path, channels: int | None, size: int | None) -> Segmented:
    """The images of `folder` with a mask each: 3 x 128 x 128 where no form is asked for."""
    form = ImagePreprocessing(channels=channels or 3, size=size or 128)
    listed = read_manifest(folder, target="mask")
    with ThreadPoolExecutor() as pool:
        everything = list(pool.map(lambda row: _read(row, form), listed))
    kept, digests, twice = once(listed)
    rows, read = [listed[i] for i in kept], [everything[i] for i in kept]
    k = max(highest for _, _, highest in read) + 1
    labels = ("background", "foreground") if k == 2 else ("background", *map(str, range(1, k)))
    return Segmented(
        x=torch.from_numpy(np.stack([pixels for pixels, _, _ in read])),
        y=torch.from_numpy(np.stack([mask for _, mask, _ in read])),
        labels=labels,
        preprocessing=form,
        **about(folder, rows, digests, notes=twice),
    )


def _read(row: Row, form: ImagePreprocessing) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels, mask, and the highest number in the file: a small form may lose a small mark."""
    pixels, mask = named(row, lambda: read_pair(row))
    return form.fit(pixels), fit_mask(mask, form.size), int(mask.max())
