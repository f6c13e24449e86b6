""""""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from medshot import check
from medshot.core.errors import DataError
from medshot.data.checks.issue import SEVERITIES, SKIP, Issue
from medshot.data.checks.labels import classes, strays
from medshot.data.checks.rows import duplicates, patients
from medshot.data.load import load
from medshot.data.tables.labels import Row
from medshot.data.tables.manifest import survey
from toys.files import Write


def told(findings: list[Issue], *, severity: str, said: str) -> list[Issue]:
    return [f for f in findings if f.severity == severity and said in str(f)]


@pytest.fixture
def messy(table: Write, write: Write, tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with one of everything."""
    good = [f"{label}{i}.png,{label},{label}{i}," for label in "xy" for i in range(4)]
    write("x1.png"), write("copy.png"), write("unlisted.png"), write("spare/1.png")
    shutil.copy(tmp_path / "x1.png", tmp_path / "copy.png")
    with Image.open(tmp_path / "x1.png") as image:
        image.save(tmp_path / "again.tif")
    whole = write("cut.png", (60, 60)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:500])
    Image.fromarray(np.full((9, 9), 3, np.uint8)).save(tmp_path / "flat.png")
    values = rng.random((9, 9)).astype(np.float32)
    tifffile.imwrite(tmp_path / "deep.tif", values)
    values[0] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", values)
    tifffile.imwrite(tmp_path / "pages.tif", np.ones((2, 9, 9), np.uint8))
    write("jpeg.jpg").rename(tmp_path / "named.png")
    (tmp_path / "scan.dcm").write_bytes(b""), (tmp_path / "scan.nii").write_bytes(b"")
    bad = ("cut.png", "flat.png", "nan.tif", "pages.tif", "gone.png", "scan.dcm")
    table(
        *good, "x0.png,x,x0,", *(f"{name},x,," for name in bad), "copy.png,y,x1,", "again.tif,x,,",
        "deep.tif,z,,", "named.png,x,x2,", "empty.png,,,", "../away.png,x,,", "y0.jpg,y,y1,test",
        "y1.jpg,y,y1,train", columns="path,label,patient,split", images=False,
    )  # fmt: skip
    for name in (*(line.split(",")[0] for line in good), "y0.jpg", "y1.jpg"):
        if name != "x1.png":
            write(name)
    return tmp_path


def test_everything_is_found_at_once(messy: Path) -> None:
    found = check(messy).findings
    for severity, *all_said in (
        ("error", "cut.png (labels.csv, line 11): it is damaged or truncated"),
        ("error", "flat.png (labels.csv, line 12): it has the same value everywhere"),
        ("error", "nan.tif (labels.csv, line 13): it holds values that are not finite"),
        ("error", "pages.tif (labels.csv, line 14): it holds 2 pages"),
        ("error", "gone.png (labels.csv, line 15): it does not exist"),
        ("error", "scan.dcm (labels.csv, line 16): it is empty (0 bytes)"),
        ("error", "copy.png (labels.csv, line 17)", "x1.png (x) are the same image under two"),
        ("error", "line 21: label is empty"),
        ("error", "line 22: ../away.png lies outside"),
        ("error", "x0.png stands in lines 2, 10, with the same label"),
        ("error", "a leak: 1 patient(s) are in several published splits, first 'y1' in test"),
        ("warning", "again.tif", "is the same image as", "x1.png"),
        ("warning", "1 file(s) of the format .nii are not read"),
        ("warning", "class 'z' has one image"),
        ("warning", "very unequal classes: 'x' has 13 images, 'z' 1"),
        ("warning", "named.png", "by its content it is a .jpg image, not .png"),
        ("note", "deep.tif", "have over 8 bits"),
        ("note", "images have no patient"),
        ("note", "1 patient(s) are in several classes"),
        ("note", "unlisted.png", "have no valid line"),
        ("note", "spare: this sub-folder is ignored"),
    ):
        first, *rest = told(found, severity=severity, said=all_said[0])
        assert rest == []
        assert all(said in str(first) for said in all_said)
    assert len(told(found, severity="error", said="")) == 11
    order = [(SEVERITIES.index(f.severity), str(f.file or "")) for f in found]
    assert order == sorted(order)


def test_load_raises_what_check_finds(messy: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(messy)
    assert str(caught.value).removesuffix(SKIP) in map(str, check(messy).findings)


def test_a_good_folder_has_nothing(table: Write, tmp_path: Path) -> None:
    rows = [f"{label}{i}.png,{label},{label}{i}" for label in "xy" for i in range(5)]
    assert not check(table(*rows, columns="path,label,patient")).findings
    (tmp_path / "labels.csv").unlink()
    (found,) = check(tmp_path).findings
    assert found.what == "it holds 10 images and nothing that says what they show"


def test_class_folders_are_checked_too(write: Write, tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        write(name, (9, 9, 3) if name.startswith("a") else (9, 9))
    (tmp_path / "b" / "3.png").write_text("no image")
    shutil.copy(tmp_path / "a" / "1.png", tmp_path / "b" / "copy.png")
    found = check(tmp_path).findings
    assert [f.file for f in found[:2]] == [tmp_path / "b" / "3.png", tmp_path / "b" / "copy.png"]
    assert [f.severity for f in found].count("error") == 2
    assert told(found, severity="warning", said="no patient is known")


@pytest.mark.parametrize("said", ["called path", "only one class", "no such folder"])
def test_a_folder_that_cannot_be_used(tmp_path: Path, write: Write, said: str) -> None:
    write("one/a/1.png")
    (tmp_path / "labels.csv").write_text("path;Path;label\nx.png;;a\n")
    names = {"called path": ".", "only one class": "one", "no such folder": "nowhere"}
    (found, *_) = check(tmp_path / names[said]).findings
    assert found.severity == "error"
    assert said in found.what


def test_classes() -> None:
    def of(**counts: int) -> list[str]:
        rows = [Row(Path("x"), label) for label, n in counts.items() for _ in range(n)]
        return [f.what for f in classes(rows)]

    assert of(a=4, b=16) == []
    assert of(a=4, b=20) == ["very unequal classes: 'b' has 20 images, 'a' 4"]
    said = "differ in case, spaces or punctuation only"
    assert of(Flu=3, flu=4) == [f"the classes 'Flu', 'flu' {said}"]
    assert of(**{"covid 19": 3, "covid-19": 4, "flu": 3}) == [
        f"the classes 'covid 19', 'covid-19' {said}"
    ]
    assert of(**{"+": 3, "-": 4}) == []


def test_the_archives_of_omniglot(tmp_path: Path) -> None:
    (tmp_path / "images_background.zip").write_bytes(b"no zip")
    (found,) = check(tmp_path).findings
    assert found.severity == "error"
    assert "Download it again" in str(found)


def test_a_real_set(real_data: Path) -> None:
    found = check(real_data / "cls_covid_cxr").findings
    assert [f.severity for f in found] == ["note"]
    assert "3 patient(s) are in several classes" in found[0].what


def test_two_labels_are_an_error_one_a_warning() -> None:
    rows = [Row(Path(f"{i}.png"), label, line=i + 2) for i, label in enumerate("xyxzx")]
    found = duplicates(rows, ["a", "a", "b", "c", "b"])
    assert [(f.severity, f.line) for f in found] == [("error", 3), ("warning", 6)]
    assert "1.png (labels.csv, line 3)" in str(found[0])
    assert "0.png (x)" in str(found[0])
    assert "2.png" in found[1].what


def test_a_file_is_no_duplicate_of_itself() -> None:
    row = Row(Path("a.png"), "x")
    assert duplicates([row, row], ["a", "a"]) == []


def rows(*said: tuple[str, str, str]) -> list[Row]:
    return [
        Row(Path(f"{i}.png"), label, patient, split, i + 2)
        for i, (label, patient, split) in enumerate(said)
    ]


def test_nobody_known_is_a_warning(tmp_path: Path) -> None:
    (found,) = patients(rows(("x", "", ""), ("y", "", "")), tmp_path)
    assert found.severity == "warning"
    assert "column patient" in found.fix


def test_some_unknown_is_a_note(tmp_path: Path) -> None:
    (found,) = patients(rows(("x", "", ""), ("y", "p", "")), tmp_path)
    assert (found.severity, found.what[:6]) == ("note", "1 of 2")


def test_several_splits_are_a_leak(tmp_path: Path) -> None:
    told = rows(("x", "p", "train"), ("y", "q", "train"), ("x", "p", ""), ("x", "p", "test"))
    (found,) = patients(told, tmp_path)
    assert (found.severity, found.line) == ("error", 5)
    assert "'p' in test and train" in found.what


def test_several_classes_are_a_note(tmp_path: Path) -> None:
    (found,) = patients(rows(("x", "p", ""), ("y", "p", ""), ("y", "q", "")), tmp_path)
    assert (found.severity, found.line) == ("note", 3)
    assert patients(rows(("x", "p", "a"), ("y", "q", "b"), ("y", "q", "b")), tmp_path) == []


def found_in(folder: Path) -> list[Issue]:
    return strays(folder, survey(folder)[0])


@pytest.mark.parametrize("name", ["a.mha", "b.nii.gz", "c.BMP", "d.gif"])
def test_kinds_not_read_are_counted(table: Write, tmp_path: Path, name: str) -> None:
    table("a.png,x", "b.png,y")
    for folder in ("", "sub"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(b"")
    (found,) = found_in(tmp_path)
    suffix = name[1:].lower()
    assert found.severity == "warning"
    assert f"2 file(s) of the format {suffix} are not read" in found.what
    assert found.fix


def test_what_the_table_leaves_out(table: Write, write: Write, tmp_path: Path) -> None:
    write("in/3.png"), write("in/4.png"), write("masks/1.png"), write(".hid/1.png")
    table("in/1.png,x", "in/2.png,y")
    notes = {note.file: note.what for note in found_in(tmp_path)}
    assert list(notes) == [tmp_path / "in" / "3.png", tmp_path / "masks"]
    assert "2 image(s) have no valid line" in notes[tmp_path / "in" / "3.png"]
    assert "none of its 1 image(s)" in notes[tmp_path / "masks"]


def test_beside_and_inside_of_class_folders(write: Write, tmp_path: Path) -> None:
    write("a/1.png"), write("b/p1/2.png"), write("loose.png")
    (tmp_path / "none").mkdir()
    told = [(note.severity, note.file) for note in found_in(tmp_path)]
    names = ("loose.png", "none", "b/p1")
    assert told == [("note", tmp_path / name) for name in names]


def test_parts_are_no_classes(write: Write, tmp_path: Path) -> None:
    write("train/x/1.png"), write("Test/y/2.png")
    (found,) = check(tmp_path).errors
    assert "parts, not classes" in found.what
    (tmp_path / "train").rename(tmp_path / "flu")  # classes called flu and Test
    assert not any("parts, not classes" in note.what for note in found_in(tmp_path))
