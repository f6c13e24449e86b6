"""The real sets with masks that segmentation is measured on, as data sets in memory."""

from pathlib import Path

import numpy as np
import torch

from medshot.data.dataset import Dataset
from medshot.data.io.image import read_image, stored
from medshot.data.io.mask import fit_mask
from medshot.data.load import load_one
from medshot.data.segmented import Segmented
from medshot.data.tables.manifest import read_manifest
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.protocols import data_root

SETS = ("wbc1", "nuclei_dsb2018", "foot_ulcer", "drive", "em_membrane")
SIZE = 128


def real_set(name: str) -> Dataset:
    """One of `SETS`, whole: 3 x 128 x 128; or the volumes of the hippocampus as they are."""
    if name == "hippocampus":
        return load_one(data_root() / "seg3d_hippocampus", task="segmentation-3d")
    folder = data_root() / f"seg_{name}"
    if name == "nuclei_dsb2018":
        return _nuclei(folder)
    return load_one(folder, 3, SIZE, "segmentation")


def _nuclei(folder: Path) -> Segmented:
    """Its masks number the nuclei of an image: every nucleus is foreground."""
    form = ImagePreprocessing(3, SIZE)
    rows = read_manifest(folder, target="mask")
    masks = [(stored(row.mask) > 0).astype(np.uint8) for row in rows if row.mask]
    x = torch.from_numpy(np.stack([form.fit(read_image(row.path)) for row in rows]))
    y = torch.from_numpy(np.stack([fit_mask(mask, SIZE) for mask in masks]))
    groups = torch.full((len(rows),), -1)
    labels = ("background", "nucleus")
    return Segmented(folder.name, x, y, labels, groups, form, f"{len(rows)} images, foreground")
