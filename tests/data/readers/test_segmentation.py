"""Folders of volumes with masks: from files to a data set, to a predictor, and back to files."""

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import medshot
from medshot.core.errors import DataError, ShapeError
from medshot.data.episodes import ImageEpisodes
from medshot.data.readers.registry import kind_of
from medshot.evaluation.episodes import evaluate
from medshot.presenters.segmentation import MaskAnswers


def write_volumes(
    folder: Path, n: int = 4, spacing: tuple[float, ...] = (1.0, 1.0, 2.0)
) -> list[Path]:
    """Noise with a bright box in it, of another shape and place each; the mask marks the box."""
    rng, paths = np.random.default_rng(0), []
    for i in range(n):
        shape = (16 + i, 14, 12)
        mask = np.zeros(shape, np.uint8)
        mask[4 + i : 10 + i, 4:9, 3:8] = 1
        values = (rng.normal(size=shape) * 20 + 300.0 * mask - 100).astype(np.float32)
        affine = np.diag([*(np.array(spacing) * (1 + 0.5 * (i == n - 1))), 1.0])
        paths.append(folder / f"{i}.nii.gz")
        for array, path in ((values, paths[-1]), (mask, folder / f"{i}_mask.nii.gz")):
            nibabel.save(nibabel.Nifti1Image(array, affine), path)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [[p.name, f"{i}_mask.nii.gz", f"p{i}"] for i, p in enumerate(paths)]
        csv.writer(file).writerows([["path", "mask", "patient"], *rows])
    return paths


def test_volumes_of_unlike_shape_and_spacing_become_one_tensor(tmp_path: Path):
    write_volumes(tmp_path)
    assert kind_of(tmp_path) == kind_of(tmp_path, "segmentation") == "segmentation-3d"
    data = medshot.load(tmp_path)
    assert data.labels == ("background", "foreground")
    assert data.preprocessing.spacing == (2.0, 1.0, 1.0)  # z, y, x: the median
    assert data.x.shape[:2] == (4, 1)
    assert data.x.dtype == torch.uint8
    beyond = data.y == -1
    assert beyond.any()
    assert not data.x[:, 0][beyond].any()
    inside = data.x[:, 0].double()
    assert inside[data.y == 1].mean() > 2 * inside[data.y == 0].mean()


def test_a_probe_learns_from_volumes_and_writes_masks_on_their_grids(tmp_path: Path):
    folder, out = tmp_path / "data", tmp_path / "out"
    folder.mkdir()
    paths = write_volumes(folder, spacing=(-1.0, 1.0, 2.0))  # stored from left to right
    data = medshot.load(folder)
    learner = medshot.build("linear-probe", encoder=medshot.encoder("filters3d", scales=[1.0]))
    predictor = learner.adapt(data)
    predictor.save(tmp_path / "model")
    again = medshot.load_predictor(tmp_path / "model")
    answers = MaskAnswers(out, data.labels)
    for path in paths:
        answers.add(again.predict(path))
    answers.close()
    for path in paths:
        ours, truth = (nibabel.load(f) for f in (out / path.name, str(path)[:-7] + "_mask.nii.gz"))
        assert ours.shape == truth.shape
        np.testing.assert_allclose(ours.affine, truth.affine)
        a, b = np.asarray(ours.dataobj) > 0, np.asarray(truth.dataobj) > 0
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.9


def test_episodes_score_whole_volumes(tmp_path: Path):
    write_volumes(tmp_path)
    data = medshot.load(tmp_path)
    learner = medshot.build("linear-probe", encoder=medshot.encoder("filters3d", scales=[1.0]))
    found = evaluate(learner, ImageEpisodes(data, shot=2, query=2), episodes=2)
    assert 0.9 < found.scores["Dice"].mean() <= 1


def test_a_network_for_images_is_refused(tmp_path: Path):
    write_volumes(tmp_path)
    data = medshot.load(tmp_path)
    with pytest.raises(DataError, match="unet3d"):
        medshot.build("linear-probe", encoder=medshot.encoder("filters")).adapt(data)
    with pytest.raises(DataError, match="leave the size out"):
        medshot.load(tmp_path, size=64)
    with pytest.raises(ShapeError, match="volumes"):
        medshot.encoder("unet3d")(torch.rand(1, 3, 16, 16))


def test_a_mask_of_another_grid_is_named(tmp_path: Path):
    write_volumes(tmp_path)
    whole = nibabel.load(tmp_path / "0_mask.nii.gz")
    cut = nibabel.Nifti1Image(np.asarray(whole.dataobj)[:-1], whole.affine)
    nibabel.save(cut, tmp_path / "0_mask.nii.gz")
    with pytest.raises(DataError, match=r"0_mask.*voxels"):
        medshot.load(tmp_path)
