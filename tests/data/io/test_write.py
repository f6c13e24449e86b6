"""Masks that are written are read back by nibabel, on the grid of the file they are for."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from medshot.core.errors import DataError, SaveError
from medshot.data.io.read_volume import read_mask_volume, read_volume
from medshot.data.io.write import write_nifti_mask
from toys.volumes import ORIENTATIONS, affine_of, ramp, write_nii


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_mask_is_on_the_grid_of_its_image(tmp_path: Path, codes: str) -> None:
    source = write_nii(tmp_path / "image.nii.gz", ramp(), affine_of(codes))
    image = read_volume(source)
    write_nifti_mask((image.values > 100).astype(int), image, tmp_path / "mask.nii.gz")
    read, original = nibabel.load(tmp_path / "mask.nii.gz"), nibabel.load(source)
    np.testing.assert_allclose(read.affine, original.affine, atol=1e-6)
    np.testing.assert_allclose(read.header.get_qform(), original.affine, atol=1e-5)
    assert read.header.get_xyzt_units()[0] == "mm"
    assert read.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(read.dataobj), original.get_fdata() > 100)
    back = read_mask_volume(tmp_path / "mask.nii.gz", like=image)
    np.testing.assert_array_equal(back, image.values > 100)


def test_many_classes_need_16_bits(tmp_path: Path) -> None:
    image = read_volume(write_nii(tmp_path / "image.nii", ramp(), affine_of("RAS")))
    write_nifti_mask(image.values + 300, image, tmp_path / "mask.nii")
    assert nibabel.load(tmp_path / "mask.nii").get_data_dtype() == np.uint16


def test_what_is_not_written(tmp_path: Path) -> None:
    image = read_volume(write_nii(tmp_path / "image.nii", ramp(), affine_of("RAS")))
    mask = np.zeros(image.values.shape, np.uint8)
    with pytest.raises(DataError, match=r"The mask has 6 x 6 x 5 voxels"):
        write_nifti_mask(mask[1:], image, tmp_path / "mask.nii")
    with pytest.raises(DataError, match="values from -1 to -1"):
        write_nifti_mask(mask - np.int8(1), image, tmp_path / "mask.nii")
    with pytest.raises(DataError, match="no name for a NIfTI file"):
        write_nifti_mask(mask, image, tmp_path / "mask.png")
    with pytest.raises(SaveError, match="exists already"):
        write_nifti_mask(mask, image, tmp_path / "image.nii")
