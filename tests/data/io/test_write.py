"""Masks that are written are read back by nibabel, on the grid of the file they are for."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from medshot.core.errors import DataError, SaveError
from medshot.data.io.formats.nifti import GEOMETRY as GEOMETRY_OF_NIFTI
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


DIRECTION = Rotation.from_euler("xyz", (10, 20, 30), degrees=True).as_matrix()
GEOMETRY = ("GetOrigin", "GetDirection", "GetSpacing", "GetSize")


@pytest.mark.parametrize("direction", [DIRECTION, np.diag([-1.0, -1, 1]), DIRECTION[:, [2, 0, 1]]])
@pytest.mark.parametrize(
    "name", ["x.nii", "x.nii.gz", "x.hdr", "x.nrrd", "x.nhdr", "x.mha", "x.mhd"]
)
def test_image_and_mask_lie_alike_in_simpleitk(
    tmp_path: Path, name: str, direction: np.ndarray
) -> None:
    image = SimpleITK.GetImageFromArray(ramp((7, 6, 5)).astype(np.float32))
    image.SetSpacing((0.9999999, 0.7, 3.3))
    image.SetOrigin((1.1, 2.0, -3.0))
    image.SetDirection(direction.ravel().tolist())
    SimpleITK.WriteImage(image, str(tmp_path / name))
    source = SimpleITK.ReadImage(str(tmp_path / name))
    volume = read_volume(tmp_path / name)
    write_nifti_mask((volume.values > 100).astype(np.uint8), volume, tmp_path / "mask.nii.gz")
    mask = SimpleITK.ReadImage(str(tmp_path / "mask.nii.gz"))
    for each in GEOMETRY:
        found, given = getattr(mask, each)(), getattr(source, each)()
        np.testing.assert_allclose(found, given, atol=1e-6)
    arrays = [SimpleITK.GetArrayFromImage(each) for each in (source, mask)]
    np.testing.assert_array_equal(arrays[0] > 100, arrays[1])


@pytest.mark.parametrize("form", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize(("qform", "sform"), [(1, 0), (0, 1), (0, 4), (2, 4), (1, 1)])
def test_codes_units_and_both_affines_are_copied(
    tmp_path: Path, qform: int, sform: int, form: type
) -> None:
    image = form(ramp(), None)
    image.header.set_data_shape(ramp().shape)
    image.set_qform(affine_of("LPS"), qform)
    image.set_sform(affine_of("LPS"), sform)
    image.header["xyzt_units"] = 0
    nibabel.save(image, tmp_path / "image.nii")
    volume = read_volume(tmp_path / "image.nii")
    write_nifti_mask((volume.values > 100).astype(np.uint8), volume, tmp_path / "mask.nii")
    given, found = (nibabel.load(tmp_path / f"{n}.nii").header for n in ("image", "mask"))
    assert type(given) is type(found)
    for name in (*GEOMETRY_OF_NIFTI, "xyzt_units", "dim"):
        np.testing.assert_array_equal(given[name], found[name])
    np.testing.assert_array_equal(given["pixdim"][:4], found["pixdim"][:4])


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
