"""Names in headers and pictures are found, and not repeated."""

from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from medshot import check
from medshot.data.io.dicom.header import IDENTITIES, identities
from toys.dicom import SECRETS, dicom, noise, save

VALUES = noise((6, 7))
CLEAN = dict.fromkeys(("PatientName", "PatientID", "PatientBirthDate", "InstitutionName"), "")


def clean(**attributes: object) -> Dataset:
    return dicom(VALUES, **{**CLEAN, **attributes})


def test_names_are_counted_and_not_told(tmp_path: Path) -> None:
    paths = [save(dicom(VALUES), tmp_path / "b.dcm"), save(clean(), tmp_path / "c.dcm")]
    (found,) = identities(paths)
    assert found.severity == "warning"
    assert found.file == paths[0]
    assert "1 DICOM file(s)" in found.what
    assert "PatientName, PatientID, PatientBirthDate, InstitutionName" in found.what
    assert not [secret for secret in SECRETS if secret in str(found)]


@pytest.mark.parametrize("name", IDENTITIES)
def test_each_of_them_counts(tmp_path: Path, name: str) -> None:
    value = "19700101" if name == "PatientBirthDate" else "X"
    (found,) = identities([save(clean(**{name: value}), tmp_path / "a.dcm")])
    assert name in found.what


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"BurnedInAnnotation": "YES"}, "text is burnt into them"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "may have a name burnt in"),
        ({"ConversionType": "SD"}, "may have a name burnt in"),
        ({"ConversionType": "SD", "BurnedInAnnotation": "NO"}, None),
        ({}, None),
    ],
)
def test_text_in_the_picture(tmp_path: Path, attributes: dict, said: str | None) -> None:
    found = identities([save(clean(**attributes), tmp_path / "a.dcm")])
    assert [said in finding.what for finding in found if said] == [True] * bool(said)
    assert bool(found) == bool(said)


def test_the_check_of_a_folder_warns(tmp_path: Path) -> None:
    for name in ("x/1.dcm", "x/2", "y/1.dcm", "y/2.dcm"):
        save(dicom(noise((6, 7)) + len(name), SeriesDescription=name), tmp_path / name)
    (tmp_path / "y" / "3.dcm").write_bytes(b"no image")
    warnings = [str(f) for f in check(tmp_path).findings if "PatientName" in f.what]
    assert len(warnings) == 1
    assert "4 DICOM file(s)" in warnings[0]
