from pathlib import Path

import pytest

from medshot.data.checks.files import strays
from medshot.data.checks.issue import Finding
from medshot.data.tables.manifest import survey
from toys.files import Write


def found_in(folder: Path) -> list[Finding]:
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
    assert found.mend


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
    assert any("parts, not classes" in note.what for note in found_in(tmp_path))
    write("flu/1.png")
    assert not any("parts, not classes" in note.what for note in found_in(tmp_path))
