"""NRRD and MetaImage against pynrrd, and against headers written by hand."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK

from medshot.core.errors import DataError
from medshot.data.io.read_volume import read_volume
from medshot.data.io.write import write_nifti_mask
from toys.volumes import affine_of, ramp

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nrrd(path: Path, values: np.ndarray | None = None, **fields: object) -> Path:
    """By pynrrd, in LPS; `fields` last, None takes one away ("space_units" for "space units")."""
    affine = LPS @ affine_of("LAS")
    header = {
        "space": "left-posterior-superior",
        "space directions": affine[:3, :3].T,
        "space origin": affine[:3, 3],
        "encoding": "gzip",
    }
    header |= {name.replace("_", " "): value for name, value in fields.items()}
    header = {name: value for name, value in header.items() if value is not None}
    nrrd.write(str(path), ramp() if values is None else values, header)
    return path


def write_mha(path: Path, data: str = "LOCAL", drop: str = "", add: str = "") -> Path:
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "TransformMatrix = 1 0 0 0 0 1 0 1 0",  # i: left; j: head; k: back
        "Offset = 1 2 3",
        "ElementSpacing = 0.5 2 3",
        "DimSize = 5 6 7",
        "ElementType = MET_SHORT",
        *filter(None, [add]),
        f"ElementDataFile = {data}",
    ]
    text = "\n".join(line for line in lines if not (drop and line.startswith(drop))) + "\n"
    voxels = ramp().tobytes(order="F")
    path.write_bytes(text.encode() + (voxels if data == "LOCAL" else b""))
    if data != "LOCAL" and data == Path(data).name:
        (path.parent / data).write_bytes(voxels)
    return path


@pytest.mark.parametrize("name", ["x.nrrd", "x.nhdr"])
def test_nrrd(tmp_path: Path, name: str) -> None:
    found = read_volume(write_nrrd(tmp_path / name))
    assert found.spacing == (3.0, 2.0, 0.5)
    np.testing.assert_allclose(found.grid.affine, affine_of("LAS"))
    np.testing.assert_array_equal(found.grid.turn_back(found.values), ramp())


def test_nrrd_in_ras(tmp_path: Path) -> None:
    affine = affine_of("SPR")
    fields = {"space_directions": affine[:3, :3].T, "space_origin": affine[:3, 3]}
    found = read_volume(write_nrrd(tmp_path / "x.nrrd", space="RAS", **fields))
    np.testing.assert_allclose(found.grid.affine, affine)
    np.testing.assert_array_equal(found.values, ramp()[:, :, ::-1])  # only x is turned


@pytest.mark.parametrize(("name", "data"), [("x.mha", "LOCAL"), ("x.mhd", "x.raw")])
def test_metaimage(tmp_path: Path, name: str, data: str) -> None:
    found = read_volume(write_mha(tmp_path / name, data))
    assert found.spacing == (2.0, 3.0, 0.5)
    np.testing.assert_array_equal(found.values, ramp().transpose(1, 2, 0))
    np.testing.assert_allclose(found.affine @ (0, 0, 0, 1), (-1, -2, 3, 1))
    np.testing.assert_allclose(found.affine @ (1, 1, 1, 1), (-1.5, -5, 5, 1))


def test_a_mask_goes_back_as_nifti_on_the_same_places(tmp_path: Path) -> None:
    image = read_volume(write_mha(tmp_path / "x.mha"))
    write_nifti_mask((image.values > 100).astype(np.uint8), image, tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), ramp() > 100)
    itk = SimpleITK.ReadImage(str(tmp_path / "x.mha"))
    for index in ((0, 0, 0), (4, 2, 6)):
        expected = LPS[:3, :3] @ itk.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((mask.affine @ (*index, 1))[:3], expected, atol=1e-5)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def huge(path: Path) -> None:
    text = "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\n"
    text += "sizes: 3000 2000 1600\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nendian: little\n"
    path.write_bytes((text + "encoding: gzip\n\n").encode() + gzip.compress(bytes(1000)))


def linked(path: Path) -> None:
    (path.parent / "in").mkdir()
    (path.parent / "secret.raw").write_bytes(ramp().tobytes())
    write_mha(path, "link.raw")
    (path.parent / "link.raw").unlink()
    (path.parent / "link.raw").symlink_to("/etc/passwd")


def with_nan(path: Path) -> None:
    values = ramp(dtype=np.float32)
    values[0, 0, 0] = np.nan
    write_nrrd(path, values)


FOUR = np.stack([ramp(), ramp()], 0)
DIRECTIONS = np.vstack([np.full(3, np.nan), np.eye(3)])
BAD = [
    ("x.mha", lambda p: cut(write_mha(p)), "damaged, truncated"),
    ("x.mhd", lambda p: (write_mha(p, "x.raw"), cut(p.with_suffix(".raw"))), "damaged, truncated"),
    ("x.nrrd", lambda p: cut(write_nrrd(p)), "damaged, truncated"),
    ("x.mha", lambda p: p.write_bytes(b""), "neither NRRD nor MetaImage"),
    ("x.nrrd", lambda p: p.write_bytes(b"\x89PNG" + bytes(300)), "neither NRRD nor MetaImage"),
    ("x.nrrd", write_mha, "damaged, truncated, or not what"),
    ("x.nrrd", huge, "promises 3000 x 2000 x 1600 voxels"),
    ("x.nrrd", with_nan, "not finite"),
    ("x.nrrd", lambda p: write_nrrd(p, space_directions=None), "no space directions"),
    ("x.nrrd", lambda p: write_nrrd(p, space="scanner-xyz"), "space is 'scanner-xyz'"),
    ("x.nrrd", lambda p: write_nrrd(p, space_units=["m", "m", "m"]), "not in mm"),
    ("x.nrrd", lambda p: write_nrrd(p, FOUR, space_directions=DIRECTIONS), "4 axes"),
    ("x.mha", lambda p: write_mha(p, drop="ElementSpacing"), "no elementspacing"),
    ("x.mha", lambda p: write_mha(p, drop="TransformMatrix"), "no transformmatrix"),
    ("x.mhd", lambda p: write_mha(p, "../x.raw"), "voxels are in '../x.raw'"),
    ("x.mhd", lambda p: write_mha(p, "/etc/passwd"), "voxels are in '/etc/passwd'"),
    ("x.mhd", lambda p: write_mha(p, "LIST"), "voxels are in 'LIST'"),
    ("x.mhd", lambda p: write_mha(p, "s%03d.raw 1 7 1"), "voxels are in"),
    ("x.mhd", linked, "voxels are in 'link.raw'"),
    ("x.mhd", lambda p: (write_mha(p, "x.raw"), (p.parent / "x.raw").unlink()), "not beside it"),
]


@pytest.mark.parametrize(("name", "write", "said"), BAD)
def test_bad_files_are_refused(
    tmp_path: Path, name: str, write: Callable[[Path], object], said: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError) as caught:
        read_volume(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_damage_escapes_as_another_error(tmp_path: Path, rng: np.random.Generator) -> None:
    for path in (write_nrrd(tmp_path / "x.nrrd"), write_mha(tmp_path / "x.mha")):
        whole, refused = path.read_bytes(), 0
        for _ in range(40):
            damaged = bytearray(whole)
            for place in rng.integers(0, 200, 3):
                damaged[place] = rng.integers(32, 127)
            path.write_bytes(bytes(damaged))
            try:
                read_volume(path)
            except DataError:
                refused += 1
        assert refused > 5
