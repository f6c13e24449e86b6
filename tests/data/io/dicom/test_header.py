"""Names in headers and pictures are found, and not repeated."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from medshot import check
from medshot.data.io.dicom.header import IDENTITIES, identities, patient_code
from medshot.data.load import load
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


# The patient of a file, by a hash of the ID.


def test_a_patient_is_known_by_a_hash_alone(tmp_path: Path) -> None:
    values = noise((4, 4))
    one = save(dicom(values), tmp_path / "a.dcm")
    same = save(dicom(values + 1, PatientID=" PID-4711 "), tmp_path / "b.dcm")
    other = save(dicom(values, PatientID="PID-4712"), tmp_path / "c.dcm")
    elsewhere = save(dicom(values, IssuerOfPatientID="East"), tmp_path / "d.dcm")
    assert patient_code(one) == patient_code(same)
    assert len({patient_code(path) for path in (one, other, elsewhere)}) == 3
    assert "4711" not in patient_code(one)


@pytest.mark.parametrize(
    "number", ["", " ", "ANONYMOUS", "anon_01", "Unknown", "000", "XXXX", None]
)
def test_what_stands_for_nobody_is_no_patient(tmp_path: Path, number: str | None) -> None:
    path = save(dicom(noise((4, 4)), PatientID=number), tmp_path / "a.dcm")
    assert patient_code(path) == ""


def patients(folder: Path, numbers: Sequence[str]) -> Path:
    for i, number in enumerate(numbers):
        place = folder / "ab"[i % 2] / f"{i}.dcm"
        save(dicom(noise((4, 4)) + i, PatientID=number, WindowCenter=99, WindowWidth=250), place)
    return folder


def test_images_of_one_patient_are_one_group(tmp_path: Path) -> None:
    patients(tmp_path, ["P1", "P1", "P2", "P2", "P3", "P3"])
    data = load(tmp_path)
    assert sorted(data.groups.bincount().tolist()) == [2, 2, 2]
    codes = {row.path.stem: row.patient for row in data.rows}
    assert codes["0"] == codes["1"] != codes["2"]
    assert any("3 patient(s) by a hash of PatientID" in note for note in data.notes)
    found = [str(finding) for finding in check(tmp_path).findings]
    assert [said for said in found if "3 patient(s) are identified by a hash" in said]
    assert not [said for said in found if "no patient is known" in said or "P1" in said]


def test_a_table_says_otherwise(tmp_path: Path) -> None:
    patients(tmp_path, ["P1", "P1", "P2", "P2"])
    lines = [f"{'ab'[i % 2]}/{i}.dcm,{'ab'[i % 2]},t{i}" for i in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,patient", *lines]) + "\n")
    assert {row.patient for row in load(tmp_path).rows} == {"t0", "t1", "t2", "t3"}


def test_one_id_for_all_tells_nothing(tmp_path: Path) -> None:
    patients(tmp_path, ["P1"] * 4)
    assert {row.patient for row in load(tmp_path).rows} == {""}
    assert [f for f in check(tmp_path).findings if "one PatientID in all 4" in f.what]
