"""Volumes with masks, by `auto`."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

import medshot
from medshot.learners.baselines.auto_context import ContextPredictor
from medshot.presenters import kind_called
from toys.volumes import affine_of, write_nii

SHAPE = (12, 16, 14)  # i, j, k of the file


def folder_of(folder: Path, spacings: list[tuple[float, float, float]], codes: str = "LAS") -> Path:
    """A bright ball of 6 mm in the middle of each, at any spacing."""
    rng, lines = np.random.default_rng(0), ["path,mask"]
    folder.mkdir()
    for i, spacing in enumerate(spacings):
        mm = np.meshgrid(
            *[(np.arange(n) - n / 2) * s for n, s in zip(SHAPE, spacing, strict=True)],
            indexing="ij",
        )
        mask = sum(axis**2 for axis in mm) < 3.0**2
        values = 50 + 100 * mask + rng.normal(0, 8, SHAPE)
        affine = affine_of(codes, spacing)
        write_nii(folder / f"{i}.nii.gz", values.astype(np.float32), affine)
        write_nii(folder / f"m{i}.nii.gz", mask.astype(np.uint8), affine)
        lines.append(f"{i}.nii.gz,m{i}.nii.gz")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def test_candidates_of_auto_are_quick_and_need_no_extra():
    candidates = kind_called("segmentation-3d").candidates().candidates
    assert [type(each).__name__ for each in candidates] == ["AutoContext"]


@pytest.mark.parametrize(
    "spacings", [[(1.0, 1.0, 1.0)] * 3, [(1.0, 1.0, 1.0), (1.0, 1.0, 1.5), (1.3, 1.0, 1.0)]]
)
def test_masks_are_on_the_grid_of_the_file(tmp_path: Path, spacings):
    folder = folder_of(tmp_path / "set", spacings, "PIR")
    learner = medshot.build("auto-context", encoder=medshot.encoder("voxels"), steps=60)
    predictor = learner.adapt(medshot.load(folder))
    assert isinstance(predictor, ContextPredictor)
    found = predictor.predict(folder / "1.nii.gz").mask
    true = np.asarray(nibabel.load(folder / "m1.nii.gz").dataobj)
    assert found.shape == true.shape == SHAPE
    assert 2 * (found * true).sum() / (found.sum() + true.sum()) > 0.7


def test_one_volume_is_learned_from_and_not_scored(tmp_path: Path):
    folder = folder_of(tmp_path / "set", [(1.0, 1.0, 1.0)])
    found = medshot.adapt(folder, "auto-context", encoder="voxels", options=["steps=5"])
    assert not found.scores
    assert any("could not be measured" in said for said in found.report.warnings)
