"""Files of a system beside those of a DICOM series: `._` of a Mac, .DS_Store, Thumbs.db."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import medshot
from medshot.data.readers.metadata import digest
from medshot.data.tables.manifest import find_volumes
from toys.dicom import noise, write_series
from toys.volumes import affine_of, write_nii

VALUES = noise((6, 5, 4))


def littered(folder: Path) -> None:
    for path in list(folder.iterdir()):
        (folder / f"._{path.name}").write_bytes(b"\0\5\x16\7" + bytes(200))
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "DICOMDIR"):
        (folder / name).write_bytes(b"x" * 300)
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "x.dcm").write_bytes(b"x")


def test_the_series_is_read_and_its_hash_is_the_same(tmp_path: Path) -> None:
    write_series(tmp_path / "s", VALUES)
    before = digest(tmp_path / "s")
    littered(tmp_path / "s")
    np.testing.assert_array_equal(medshot.read_volume(tmp_path / "s").values, VALUES)
    assert digest(tmp_path / "s") == before


def test_a_change_of_a_slice_changes_the_hash(tmp_path: Path) -> None:
    first, *_ = write_series(tmp_path / "s", VALUES)
    before = digest(tmp_path / "s")
    shutil.copy(first, tmp_path / "s" / "more.dcm")
    assert digest(tmp_path / "s") != before


def test_a_folder_of_series_with_masks_is_checked_and_loaded(tmp_path: Path) -> None:
    rows = ["path,mask,patient"]
    for i in range(3):
        write_series(tmp_path / f"s{i}", noise((6, 5, 4)) + i, series=f"1.2.{i + 3}")
        image = medshot.read_volume(tmp_path / f"s{i}")
        mask = (image.values > np.median(image.values)).astype(np.uint8)
        medshot.write_nifti_mask(mask, image, tmp_path / f"m{i}.nii.gz")
        littered(tmp_path / f"s{i}")
        rows.append(f"s{i},m{i}.nii.gz,p{i}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    assert not medshot.check(tmp_path).errors
    assert len(medshot.load(tmp_path)) == 3


@pytest.mark.parametrize("name", ["._b.nii.gz", "Thumbs.db", "__MACOSX/a.nii.gz", ".cache/c.nii"])
def test_volumes_to_predict_are_those_of_the_user(tmp_path: Path, name: str) -> None:
    write_nii(tmp_path / "a.nii.gz", noise((6, 5, 4)), affine_of("RAS"))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"x")
    assert find_volumes([tmp_path]) == [tmp_path / "a.nii.gz"]
