"""Masks on the grid of their image: what fits, and what is refused by name."""

import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medshot.core.errors import DataError
from medshot.data.io.read_volume import read_mask_volume, read_volume
from medshot.data.io.volume import Volume
from toys.volumes import SHAPE, affine_of, ramp, write_nii

LABELS = np.zeros(SHAPE, np.uint8)
LABELS[1, 2:4, 3] = 1
LABELS[3, 5, 0] = 2


@pytest.fixture
def image(tmp_path: Path) -> Volume:
    return read_volume(write_nii(tmp_path / "image.nii.gz", ramp(), affine_of("LPS")))


def test_a_mask_lies_on_its_image(tmp_path: Path, image: Volume) -> None:
    path = write_nii(tmp_path / "mask.nii", LABELS, affine_of("LPS"))
    mask = read_mask_volume(path, like=image)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, LABELS.transpose(2, 1, 0))


def test_another_orientation_of_the_same_places_is_turned(tmp_path: Path, image: Volume) -> None:
    original = nibabel.Nifti1Image(LABELS.astype(np.float32), affine_of("LPS"))
    nibabel.save(nibabel.as_closest_canonical(original), tmp_path / "ras.nii")
    mask = read_mask_volume(tmp_path / "ras.nii", like=image)
    np.testing.assert_array_equal(mask, LABELS.transpose(2, 1, 0))


def test_an_empty_mask_is_a_mask(tmp_path: Path, image: Volume) -> None:
    path = write_nii(tmp_path / "mask.nii", np.zeros(SHAPE, np.uint8), affine_of("LPS"))
    assert not read_mask_volume(path, like=image).any()


def moved(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    affine = affine_of("LPS")
    affine[:3, 3] += x, y, z
    return affine


TILTED = affine_of("LPS")
TILTED[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]] @ TILTED[:2, :2]
HALVES, UNKNOWN, BELOW = LABELS * np.float32(0.5), LABELS * np.float32("nan"), LABELS - np.int16(1)
BAD = [
    (LABELS[:4], affine_of("LPS"), "7 x 6 x 4 voxels of 3 x 2 x 0.5 mm (z, y, x), not 7 x 6 x 5"),
    (
        LABELS,
        affine_of("LPS", (1, 2, 3)),
        "voxels of 3 x 2 x 1 mm (z, y, x), not 7 x 6 x 5",
    ),
    (LABELS, moved(x=1), "shifted by 1, 0, 0 mm"),
    (LABELS, np.diag([-1, -1, 1, 1]) @ affine_of("LPS"), "flipped: its header has -x and -y"),
    (LABELS, np.diag([1, 1, -1, 1]) @ affine_of("LPS"), "flipped: its header has -z"),
    (LABELS, TILTED, "turned by some angle"),
    (HALVES, affine_of("LPS"), "fractions or NaN"),
    (UNKNOWN, affine_of("LPS"), "fractions or NaN"),
    (BELOW, affine_of("LPS"), "values are from -1 to 1"),
    (LABELS * np.int32(70_000), affine_of("LPS"), "values are from 0 to 140000"),
    (np.stack([LABELS, LABELS], 3), affine_of("LPS"), "5 x 6 x 7 x 2 values: not one volume"),
]


@pytest.mark.parametrize(("values", "affine", "said"), BAD)
def test_a_mask_of_another_grid_or_kind_is_refused(
    tmp_path: Path, image: Volume, values: np.ndarray, affine: np.ndarray, said: str
) -> None:
    path = write_nii(tmp_path / "mask.nii", values, affine)
    with pytest.raises(DataError) as caught:
        read_mask_volume(path, like=image)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_library_is_named_with_the_line_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "x.mha").write_bytes(b"")
    with pytest.raises(DataError, match=r"SimpleITK.*medshot\[volumes\]"):
        read_volume(tmp_path / "x.mha")


def test_the_masks_of_a_real_set_lie_on_their_images(real_data: Path) -> None:
    folder = real_data / "seg3d_hippocampus"
    for path in sorted((folder / "images").glob("*.nii.gz"))[:5]:
        mask = read_mask_volume(folder / "masks" / path.name, like=read_volume(path))
        assert np.unique(mask).tolist() == [0, 1, 2]
