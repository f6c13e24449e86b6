""""""

from pathlib import Path

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.manifest import files_below, find_images, read_manifest, survey
from toys.dicom import SECRETS, noise, write_series
from toys.files import Write


def test_class_folders(write: Write, tmp_path: Path) -> None:
    for name in ("b/2.png", "b/1.JPG", "a/p1/3.tif", "loose.png", ".git/x/4.png"):
        write(name)
    write("a/.checkpoints/3-copy.png")
    write("a/.hidden.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    rows = read_manifest(tmp_path)
    assert [(row.path.relative_to(tmp_path).as_posix(), row.label) for row in rows] == [
        ("a/p1/3.tif", "a"),
        ("b/1.JPG", "b"),
        ("b/2.png", "b"),
    ]
    assert {row.line for row in rows} == {0}


def test_a_table_goes_before_folders(write: Write, table: Write, tmp_path: Path) -> None:
    write("third/3.png")
    table("a.png,x", "b.png,y")
    assert [row.label for row in read_manifest(tmp_path)] == ["x", "y"]


def test_a_missing_file_is_not_its_business(table: Write, tmp_path: Path) -> None:
    table("a.png,x", "b.png,y", images=False)
    assert len(read_manifest(tmp_path)) == 2


def test_a_link_out_of_a_class_folder_is_refused(write: Write, tmp_path: Path) -> None:
    write("data/a/1.png"), write("data/b/2.png"), write("away.png")
    (tmp_path / "data" / "b" / "link.png").symlink_to(tmp_path / "away.png")
    with pytest.raises(DataError, match=r"link\.png.*link to outside"):
        read_manifest(tmp_path / "data")


def test_folders_that_cannot_be_used(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no images .*sub-folder"):
        read_manifest(tmp_path / "empty")
    with pytest.raises(DataError, match="no such folder"):
        read_manifest(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"file\.png.*name its folder"):
        read_manifest(write("file.png"))
    write("loose/1.png"), write("loose/2.png")
    with pytest.raises(DataError, match=r"loose.*\(2\) none has a label"):
        read_manifest(tmp_path / "loose")
    write("one/a/1.png")
    with pytest.raises(DataError, match="only one class, 'a'"):
        read_manifest(tmp_path / "one")


def test_survey_goes_on_where_reading_stops(table: Write, tmp_path: Path) -> None:
    table("a.png,x", "b.png,", "c.png,x")
    rows, findings = survey(tmp_path)
    assert len(rows) == 2
    assert len(findings) == 2  # an empty label, and so one class only
    with pytest.raises(DataError, match="line 3"):
        read_manifest(tmp_path)


def test_hidden_files_are_left_out(write: Write, tmp_path: Path) -> None:
    write("a/1.png"), write("a/._1.png"), write(".x/1.png")
    assert files_below(tmp_path) == [tmp_path / "a" / "1.png"]


def test_a_bare_series_is_named_and_what_is_missing_is_said(tmp_path: Path) -> None:
    write_series(tmp_path / "ct", noise((3, 4, 5)))
    with pytest.raises(DataError) as error:
        read_manifest(tmp_path / "ct")
    said = str(error.value)
    assert "a DICOM series without labels (CT, 3 file(s) like IM000.dcm)" in said
    assert all(words in said for words in ("path,mask", "path,label", "docs/formats.md"))
    assert not any(secret in said for secret in SECRETS)


def test_a_damaged_bare_series_is_said_to_be_damaged(tmp_path: Path) -> None:
    (path, *_) = write_series(tmp_path, noise((3, 4, 5)))
    path.write_bytes(path.read_bytes()[:132] + b"\xff" * 50)
    with pytest.raises(DataError, match=rf"{path.name}: it is damaged"):
        read_manifest(tmp_path)


# Which files are meant by the paths that somebody typed.


def test_files_as_named_folders_by_name(write: Write, tmp_path: Path) -> None:
    for name in ("d/b.png", "d/a.PNG", "d/sub/c.png", "z.png"):
        write(name)
    (tmp_path / "d" / "labels.csv").write_text("path,label\n")
    found = find_images([tmp_path / "z.png", tmp_path / "d"])
    assert [f.relative_to(tmp_path).as_posix() for f in found] == [
        *("z.png", "d/a.PNG", "d/b.png", "d/sub/c.png")
    ]


def test_each_image_once(write: Write, tmp_path: Path) -> None:
    image = write("d/a.png")
    assert find_images([image, tmp_path / "d", image]) == [image]


def test_hidden_files_and_folders_are_not_meant(write: Write, tmp_path: Path) -> None:
    for name in ("d/a.png", "d/.b.png", "d/.thumbnails/a.png"):
        write(name)
    assert [f.name for f in find_images([tmp_path / "d"])] == ["a.png"]


def test_a_file_by_its_name_is_meant_whatever_it_is(tmp_path: Path) -> None:
    (tmp_path / "scan.txt").write_text("no image")
    assert find_images([tmp_path / "scan.txt"]) == [tmp_path / "scan.txt"]


def test_nothing_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.png does not exist"):
        find_images([tmp_path / "nowhere.png"])
    with pytest.raises(DataError, match="holds no image"):
        find_images([tmp_path])
