"""Which files are meant by the paths that somebody typed."""

from pathlib import Path

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.manifest import find_images
from toys.files import Write


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
