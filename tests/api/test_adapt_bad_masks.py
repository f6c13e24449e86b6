"""Masks that are odd: a clear error, or a result that is right."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

import medshot
from medshot.core import DataError


def masks_in(folder: Path, masks: list[np.ndarray]) -> Path:
    """Noise that is brighter where it is marked."""
    rng, lines = np.random.default_rng(0), ["path,mask"]
    folder.mkdir()
    for i, mask in enumerate(masks):
        noise = rng.integers(0, 60, (32, 32))
        values = np.tile(noise, [-(-n // 32) for n in mask.shape])[: len(mask), : mask.shape[1]]
        values = values + 120 * (mask > 0)
        Image.fromarray(values.astype(np.uint8)).save(folder / f"{i}.png")
        Image.fromarray(mask).save(folder / f"m{i}.png")
        lines.append(f"{i}.png,m{i}.png")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


def square(at: int, side: int = 16, size: int = 64, value: int = 1) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    mask[at : at + side, at : at + side] = value
    return mask


def adapt(folder: Path, size: int = 32, **more: Any) -> medshot.Adaptation:
    given = {"encoder": "filters", "options": [f"encoder.size={size}"]} | more
    return medshot.adapt(folder, "nearest-centroid", **given)


EMPTY, FULL = np.zeros((64, 64), np.uint8), np.ones((64, 64), np.uint8)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ([EMPTY] * 3, "only one class"),
        ([FULL] * 3, "0, which is background"),
        ([square(10 + 2 * i, 1) for i in range(3)], r"encoder\.size"),  # lost in 32 x 32 pixels
        (
            [np.repeat(np.repeat(np.arange(49, dtype=np.uint8).reshape(7, 7), 8, 0), 8, 1)] * 2,
            "49 class numbers",
        ),
    ],
)
def test_what_cannot_be_learned_is_said(tmp_path: Path, masks: list[np.ndarray], said: str):
    with pytest.raises(DataError, match=said):
        adapt(masks_in(tmp_path / "set", masks))


@pytest.mark.parametrize(
    "masks",
    [
        [square(9), square(30), EMPTY, EMPTY],
        [square(9), square(30), FULL],
        [square(10 + i, 1) for i in range(3)],
    ],
)
def test_empty_and_full_masks_among_others_and_single_pixels(
    tmp_path: Path, masks: list[np.ndarray]
):
    found = adapt(masks_in(tmp_path / "set", masks), 64).predictor
    assert (found.predict(tmp_path / "set" / "0.png").mask[masks[0] == 1] == 1).mean() > 0.6


def test_a_few_classes_short_of_too_many(tmp_path: Path):
    numbers = np.arange(30, dtype=np.uint8).reshape(5, 6).repeat(10, 0).repeat(10, 1)
    found = adapt(masks_in(tmp_path / "set", [numbers] * 2), 64)
    assert len(found.predictor.known_card().labels) == 30


def test_images_of_4000_pixels(tmp_path: Path):
    folder = masks_in(tmp_path / "set", [square(500 * i, 1500, 4000) for i in (1, 3)])
    answer = adapt(folder).predictor.predict(folder / "0.png").mask
    truth = square(500, 1500, 4000)
    assert answer.shape == truth.shape
    assert 2 * ((answer == 1) & (truth == 1)).sum() / ((answer == 1).sum() + truth.sum()) > 0.7


def test_volumes_of_other_spacings_are_answered_on_their_own_grids(tmp_path: Path):
    rng, lines = np.random.default_rng(0), ["path,mask"]
    for i, spacing in enumerate([(1, 1, 1), (0.5, 0.5, 4), (3, 2, 1)]):
        affine = np.diag([*map(float, spacing), 1.0])
        shape = tuple(round(24 / mm) for mm in spacing)
        mask = np.zeros(shape, np.uint8)
        mask[tuple(slice(n // 4, max(n // 4 + 1, n * 3 // 4)) for n in shape)] = 1
        values = (rng.integers(0, 60, shape) + 200 * mask).astype(np.int16)
        for array, name in ((values, f"{i}.nii"), (mask, f"m{i}.nii")):
            nibabel.save(nibabel.Nifti1Image(array, affine), tmp_path / name)
        lines.append(f"{i}.nii,m{i}.nii")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    found = adapt(tmp_path, encoder="filters3d", options=["encoder.scales=[1.0]"])
    for i in range(3):
        answer = found.predictor.predict(tmp_path / f"{i}.nii").mask
        truth = nibabel.load(tmp_path / f"m{i}.nii").get_fdata()
        assert answer.shape == truth.shape
        both = ((answer > 0) & (truth > 0)).sum()
        assert 2 * both / ((answer > 0).sum() + truth.sum()) > 0.7
