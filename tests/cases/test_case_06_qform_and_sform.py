"""A NIfTI volume whose qform and sform differ, as after registration to a template."""

from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

import medshot
from toys.volumes import two_affines

GEOMETRY = ("GetOrigin", "GetDirection", "GetSpacing", "GetSize")


def lies_alike(image: Path, mask: Path) -> bool:
    """By SimpleITK, which goes by the qform, and by nibabel, which goes by the sform."""
    one, other = (SimpleITK.ReadImage(str(path)) for path in (image, mask))
    itk = all(getattr(one, name)() == getattr(other, name)() for name in GEOMETRY)
    return itk and bool((nibabel.load(image).affine == nibabel.load(mask).affine).all())


def folder(at: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = ["path,mask,patient"]
    for i in range(4):
        values = rng.normal(100, 10, (12, 10, 8))
        ball = np.zeros(values.shape, np.uint8)
        ball[3:8, 3:7, 2:6] = 1
        two_affines(values + 80 * ball, at / f"v{i}.nii.gz")
        two_affines(ball, at / f"m{i}.nii.gz")
        rows.append(f"v{i}.nii.gz,m{i}.nii.gz,p{i}")
    (at / "labels.csv").write_text("\n".join(rows) + "\n")
    return at


def probe(data: medshot.Dataset) -> medshot.Predictor:
    encoder = medshot.encoder("filters3d", scales=[1.0])
    return medshot.build("linear-probe", encoder=encoder).adapt(data)


def test_the_written_mask_lies_on_its_image(tmp_path: Path) -> None:
    source = folder(tmp_path) / "v0.nii.gz"
    probe(medshot.load(tmp_path)).predict_folder(source).save(tmp_path / "answers")
    mask = tmp_path / "answers" / "v0.nii.gz"
    assert lies_alike(source, mask)
    given, found = nibabel.load(source).header, nibabel.load(mask).header
    for name in ("qform_code", "sform_code", "xyzt_units"):
        assert given[name] == found[name]
    np.testing.assert_array_equal(given.get_qform(), found.get_qform())


def test_the_check_and_the_notes_say_that_they_differ(tmp_path: Path) -> None:
    found = medshot.check(folder(tmp_path))
    (warning,) = [each for each in found.findings if each.severity == "warning"]
    assert "4 volume(s)" in warning.what
    assert "qform" in warning.what
    assert any("qform" in note for note in medshot.load(tmp_path).notes)


def test_a_mask_from_a_program_that_goes_by_the_qform(tmp_path: Path) -> None:
    image = medshot.read_volume(folder(tmp_path) / "v0.nii.gz")
    expected = medshot.read_mask_volume(tmp_path / "m0.nii.gz", like=image)
    saved = SimpleITK.ReadImage(str(tmp_path / "m0.nii.gz"))
    SimpleITK.WriteImage(saved, str(tmp_path / "itk.nii.gz"))
    assert not np.allclose(nibabel.load(tmp_path / "itk.nii.gz").affine, image.grid.affine)
    found = medshot.read_mask_volume(tmp_path / "itk.nii.gz", like=image)
    np.testing.assert_array_equal(found, expected)
