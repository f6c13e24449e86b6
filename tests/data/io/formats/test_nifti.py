"""NIfTI, read and written, against nibabel."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medshot.core.errors import DataError
from medshot.data.io.formats.nifti import read_nifti
from medshot.data.io.read_volume import read_volume
from medshot.data.readers.metadata import digest
from medshot.data.tables.manifest import find_volumes
from toys.volumes import SHAPE, affine_of, ramp, write_nii


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_values_place_and_window(tmp_path: Path, name: str) -> None:
    path = write_nii(tmp_path / name, ramp(), affine_of("LAS"), cal_min=-100, cal_max=300)
    found = read_nifti(path)
    assert found.values.dtype == np.int16
    assert found.spacing == (3.0, 2.0, 0.5)
    assert found.window == (-100.0, 300.0)
    expected = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata()  # RAS+
    np.testing.assert_array_equal(found.values, expected[::-1, ::-1].transpose(2, 1, 0))


def test_rescaling_of_the_file_is_done(tmp_path: Path) -> None:
    with_header(scl_slope=2.0, scl_inter=-1024.0)(tmp_path / "ct.nii")
    found = read_nifti(tmp_path / "ct.nii")
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.grid.turn_back(found.values), 2.0 * ramp() - 1024)


def test_nifti_2_and_a_fourth_axis_of_one(tmp_path: Path) -> None:
    image = nibabel.Nifti2Image(ramp((*SHAPE, 1)), affine_of("RAS"))
    nibabel.save(image, tmp_path / "x.nii")
    assert read_nifti(tmp_path / "x.nii").values.shape == SHAPE[::-1]


@pytest.mark.parametrize("form", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
def test_a_pair_is_read_by_either_name(tmp_path: Path, form: type) -> None:
    nibabel.save(form(ramp(), affine_of("LAS")), tmp_path / "x.hdr")
    found, other = (read_volume(tmp_path / name) for name in ("x.hdr", "x.img"))
    np.testing.assert_array_equal(found.values, other.values)
    np.testing.assert_array_equal(found.grid.turn_back(found.values), ramp())
    np.testing.assert_allclose(found.grid.affine, affine_of("LAS"))
    assert find_volumes([tmp_path]) == [tmp_path / "x.hdr"]
    before = digest(tmp_path / "x.hdr")
    nibabel.save(form(ramp() + 1, affine_of("LAS")), tmp_path / "x.hdr")
    assert digest(tmp_path / "x.hdr") != before


def half_of_a_pair(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(ramp(), affine_of("LAS")), path)
    path.with_suffix(".img").unlink()


def analyze(path: Path) -> None:
    nibabel.save(nibabel.AnalyzeImage(ramp(), affine_of("LAS")), path)


def plain(path: Path) -> None:
    write_nii(path, ramp(), affine_of("RAS"))


def cut(path: Path) -> None:
    plain(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def with_header(**fields: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        plain(path)
        raw = path.read_bytes()
        header = nibabel.Nifti1Header(raw[:348], check=False)
        for name, value in fields.items():
            header[name] = value
        path.write_bytes(header.binaryblock + raw[348:])

    return write


def squeezed_under_a_plain_name(path: Path) -> None:
    plain(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


def unset(path: Path) -> None:
    image = nibabel.Nifti1Image(ramp(), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nibabel.save(image, path)


def in_colour(path: Path) -> None:
    values = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(values, affine_of("RAS")), path)


def with_nan(path: Path) -> None:
    values = ramp(dtype=np.float32)
    values[2, 3, 4] = np.nan
    write_nii(path, values, affine_of("RAS"))


def constant(path: Path) -> None:
    write_nii(path, np.full(SHAPE, 7, np.uint8), affine_of("RAS"))


def turned_a_little(path: Path) -> None:
    image = nibabel.Nifti1Image(ramp(), affine_of("RAS"))
    image.set_sform(affine_of("RAS"), 1)
    image.set_qform(affine_of("LAS"), 1)
    nibabel.save(image, path)


BAD = [
    ("x.nii.gz", cut, "damaged or truncated"),
    ("x.nii", cut, "damaged or truncated"),
    ("x.nii", lambda path: path.write_bytes(b""), "no NIfTI file"),
    ("x.nii.gz", lambda path: path.write_bytes(b"\x1f\x8b" + bytes(400)), "no NIfTI file"),
    ("x.nii", lambda path: path.write_text("hello" * 200), "no NIfTI file"),
    ("x.nii", squeezed_under_a_plain_name, "its suffix and its compression"),
    ("x.nii", lambda path: path.mkdir(), "no DICOM"),
    ("x.nii", lambda path: None, "does not exist"),
    ("x.nii", with_header(dim=[3, 3000, 2000, 1600, 1, 1, 1, 1]), "promises 3000 x 2000 x 1600"),
    ("x.nii", with_header(dim=[3, -5, 6, 7, 1, 1, 1, 1]), "not one volume"),
    ("x.nii", with_header(dim=[4, 5, 6, 1, 7, 1, 1, 1]), "not one volume of three axes"),
    ("x.hdr", half_of_a_pair, "x.img, the other half of the pair"),
    ("x.hdr", analyze, "Analyze 7.5"),
    ("x.hdr", lambda path: path.with_suffix(".img").write_bytes(b""), "does not exist"),
    ("x.nii", with_header(vox_offset=1e9), "begin too far"),
    ("x.nii", with_header(xyzt_units=3), "spacing is in micron"),
    ("x.nii", with_header(srow_x=[0, 0, 0, 0]), "spacing is missing or wrong"),
    ("x.nii", unset, "does not say how it lies"),
    ("x.nii", turned_a_little, "two orientations"),
    ("x.nii", in_colour, "not grey"),
    ("x.nii.gz", with_nan, "1 of its 210 voxels are not finite"),
    ("x.nii.gz", constant, "same value everywhere"),
    ("x.mgz", lambda path: path.write_bytes(b"x"), "not read as volumes"),
]


@pytest.mark.parametrize(("name", "write", "said"), BAD)
def test_bad_files_are_refused(
    tmp_path: Path, name: str, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_promise_of_18_gb_is_refused_without_reading(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    header = nibabel.Nifti1Header()
    header.set_data_shape((2500, 1500, 1300))
    header.set_sform(affine_of("RAS"), 1)
    path.write_bytes(gzip.compress(header.binaryblock + bytes(10_000)))
    with pytest.raises(DataError, match=r"2500 x 1500.*18\.2 GiB"):
        read_volume(path)


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz"])
def test_no_damage_escapes_as_another_error(
    tmp_path: Path, name: str, rng: np.random.Generator
) -> None:
    path = tmp_path / name
    plain(path)
    whole, refused = path.read_bytes(), 0
    for _ in range(40):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 352), 6):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        try:
            read_volume(path)
        except DataError:
            refused += 1
    assert refused > 5


def test_a_real_volume(real_data: Path) -> None:
    folder = real_data / "seg3d_hippocampus"
    path = next(iter(sorted((folder / "images").glob("*.nii.gz"))))
    found = read_volume(path)
    assert found.spacing == (1.0, 1.0, 1.0)
    np.testing.assert_array_equal(
        found.values, nibabel.load(path).get_fdata()[::-1, ::-1].transpose(2, 1, 0)
    )
