"""Several data sets as one: the last target of an image counts, classes go by name."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import medshot
import toys
from medshot.core import DataError
from medshot.data.join import joined
from toys.picture_folders import listed, pictures


def test_labels_of_folders_are_joined_by_name(tmp_path: Path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, seed in ((a, 0), (b, 1)):
        folder.mkdir()
        pictures(folder, ["0.png", "1.png", "2.png"], seed=seed)
    listed(a, ["0.png,cat,p1", "1.png,dog,p2", "2.png,cat,p3"])
    (b / "0.png").write_bytes((a / "1.png").read_bytes())
    listed(b, ["0.png,cow,p2", "1.png,dog,p1", "2.png,cat,p9"])
    one, two = medshot.load(a), medshot.load(b)
    found = joined([one, two])
    assert found.labels == ("cat", "dog", "cow")
    assert found.y.tolist() == [0, 0, 2, 1, 0]  # the dog of the first was a cow
    assert len(found.groups.unique()) == 4
    assert found.groups[0] == found.groups[3]
    smaller = found.at(3, 16)
    assert torch.equal(smaller.x[2], two.at(3, 16).x[0])
    assert joined([one]) is one


def test_other_kinds_and_nameless_classes_are_refused():
    labels = toys.dataset()
    masks = medshot.dataset(
        np.zeros((2, 8, 8, 3), np.uint8) + np.arange(8, dtype=np.uint8)[:, None],
        np.tile(np.arange(8) > 3, (2, 8, 1)).astype(np.uint8),
        task="segmentation",
    )
    with pytest.raises(DataError, match="segmentation"):
        joined([labels, masks])
    nameless = replace(masks, labels=("background", "foreground"))
    with pytest.raises(DataError, match=r"classes\.csv"):
        joined([nameless, replace(masks, labels=("background", "vessel"))])


def test_volumes_of_another_spacing_are_read_again(tmp_path: Path):
    rng = np.random.default_rng(0)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, spacings in zip(folders, ([1.0, 2.0, 2.0], [1.0]), strict=True):
        folder.mkdir()
        lines = []
        for i, mm in enumerate(spacings):
            affine = np.diag([mm, mm, mm, 1])
            values = rng.integers(0, 99, (10, 8, 6)).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(values, affine), folder / f"{i}.nii")
            mask = (values > 50).astype(np.uint8)
            nibabel.save(nibabel.Nifti1Image(mask, affine), folder / f"m{i}.nii")
            lines.append(f"{i}.nii,m{i}.nii")
        listed(folder, lines, "path,mask")
    sets = [medshot.load(folder) for folder in folders]
    assert sets[0].preprocessing != sets[1].preprocessing
    found = joined(sets)
    assert found.preprocessing.spacing == (2.0, 2.0, 2.0)
    assert found.x.shape == (4, 1, 6, 8, 10)
    assert (found.y[3] >= 0).sum() == 3 * 4 * 5  # 1 mm at 2 mm, the rest is unlabeled
