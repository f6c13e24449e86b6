"""What a file is by its first bytes, whatever it is called."""

import gzip
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from medshot.core.errors import DataError
from medshot.data.io.image import read_image
from medshot.data.io.registry import VOLUMES, files_below, files_of, format_in, is_hidden

VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def _nifti(path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VALUES, np.eye(4)), path)


def _nifti_2(path: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(VALUES, np.eye(4)), path)


def _itk(path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VALUES), path)


@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [
        ("a.nii", _nifti, "NIfTI"),
        ("a.nii.gz", _nifti, "NIfTI"),
        ("a.nii", _nifti_2, "NIfTI"),
        ("a.nrrd", _itk, "NRRD"),
        ("a.mha", _itk, "MetaImage"),
    ],
)
def test_a_volume_with_the_name_of_an_image_is_refused_as_what_it_is(
    tmp_path: Path, name: str, write, kind: str
) -> None:
    write(tmp_path / name)
    for suffix in ("png", "jpg", "tif"):
        path = tmp_path / f"x.{suffix}"
        shutil.copy(tmp_path / name, path)
        found = format_in(path, VOLUMES)
        assert found is not None
        assert found.name == kind
        with pytest.raises(DataError, match=f"it is a {kind} volume, no .{suffix} image"):
            read_image(path)


def test_what_is_no_volume_is_not_called_one(tmp_path: Path) -> None:
    for content in (b"", b"\x1f\x8b", b"\x1f\x8bbroken", gzip.compress(b"text"), b"x" * 400):
        (tmp_path / "x.png").write_bytes(content)
        assert format_in(tmp_path / "x.png", VOLUMES) is None
    assert format_in(tmp_path / "nowhere.png", VOLUMES) is None


@pytest.mark.parametrize("name", [".DS_Store", "._a.dcm", "Thumbs.db", "DICOMDIR", "desktop.ini"])
def test_files_of_the_system_are_in_no_listing(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "DICOMDIR.d"  # a folder of any name but theirs
    for path in (tmp_path / "a.png", inside / "b.png", tmp_path / name, inside / name):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    for hidden in (".cache", "__MACOSX"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "c.png").write_bytes(b"x")
    assert is_hidden(tmp_path / name)
    assert [path.name for path in files_below(tmp_path)] == ["b.png", "a.png"]


def test_an_image_whose_voxels_are_beside_its_header_is_all_its_files(tmp_path: Path) -> None:
    for name in ("a.mhd", "a.raw", "a.json", "ab.raw", "b.nii.gz"):
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in files_of(tmp_path / "a.mhd")] == ["a.mhd", "a.raw"]
    assert files_of(tmp_path / "b.nii.gz") == [tmp_path / "b.nii.gz"]
