"""A NIfTI mask that was saved from doubles as 8-bit integers, with a scl_slope."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy import ndarray

import medshot
from toys.volumes import affine_of

RNG = np.random.default_rng(0)


def pair(at: Path, values: ndarray, dtype: type) -> medshot.Volume:
    """`values` as m.nii.gz in `dtype`, rescaled by nibabel, and the volume that it belongs to."""
    image = nibabel.Nifti1Image(RNG.normal(100, 10, values.shape), affine_of("RAS"))
    nibabel.save(image, at / "v.nii.gz")
    mask = nibabel.Nifti1Image(values.astype(np.float64), affine_of("RAS"))
    mask.set_data_dtype(dtype)
    nibabel.save(mask, at / "m.nii.gz")
    return medshot.read_volume(at / "v.nii.gz")


@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 1), (0, 17, 53), (0, 1, 200)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_numbers_are_those_that_were_meant(
    tmp_path: Path, numbers: tuple[int, ...], dtype: type
) -> None:
    values = RNG.choice(numbers, (6, 5, 4))
    image = pair(tmp_path, values, dtype)
    stored = np.asarray(nibabel.load(tmp_path / "m.nii.gz").dataobj)
    found = image.grid.turn_back(medshot.read_mask_volume(tmp_path / "m.nii.gz", like=image))
    np.testing.assert_array_equal(found, values)
    assert np.abs(stored - values).max() <= 0.5


def test_an_8_bit_mask_from_doubles_is_off_whole_numbers(tmp_path: Path) -> None:
    pair(tmp_path, RNG.choice((0, 1, 2), (6, 5, 4)), np.uint8)
    stored = np.asarray(nibabel.load(tmp_path / "m.nii.gz").dataobj)
    assert 0.003 < np.abs(stored - np.rint(stored)).max() < 0.004


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_fractions_stay_refused(tmp_path: Path, dtype: type) -> None:
    image = pair(tmp_path, RNG.choice((0, 0.3, 1), (6, 5, 4)), dtype)
    with pytest.raises(medshot.DataError, match=r"m\.nii\.gz.*fractions") as caught:
        medshot.read_mask_volume(tmp_path / "m.nii.gz", like=image)
    assert ("scl_slope" in str(caught.value)) == (dtype is np.uint8)


def test_a_slope_too_coarse_for_numbers_is_refused(tmp_path: Path) -> None:
    image = pair(tmp_path, RNG.choice((0, 500, 1001), (6, 5, 4)), np.uint8)
    with pytest.raises(medshot.DataError, match="scl_slope"):
        medshot.read_mask_volume(tmp_path / "m.nii.gz", like=image)
