"""Path cells that nearly fit."""

from pathlib import Path

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.paths import ABOVE, BACK, CASE, ELSEWHERE, OTHER, SHORT, FileCells, inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "my set"
    for name in (
        "img/a b.png",
        "img/1.5.png",
        "img/ü.PNG",
        "img/v.nii.gz",
        "two/x.png",
        "two/x.tif",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    (home / "series").mkdir()
    return home


def find(folder: Path, cell: str) -> tuple[str, list[str]]:
    files = FileCells(folder / "labels.csv")
    path = files.find(cell, 7)
    said = [issue.what for issue in files.issues()]
    assert all(issue.line == 7 for issue in files.issues())
    return path.relative_to(folder).as_posix(), said


@pytest.mark.parametrize(
    ("cell", "name", "cause"),
    [
        ("img/a b.png", "img/a b.png", ""),
        (" ./img/a b.png ", "img/a b.png", ""),
        ("img\\a b.png", "img/a b.png", BACK),
        ("img/a b", "img/a b.png", SHORT),
        ("img/a b.jpg", "img/a b.png", OTHER),
        ("IMG/A  B.PNG", "img/a b.png", CASE),
        ("my set/img/a b.png", "img/a b.png", ABOVE),
        ("My Set\\img\\a b", "img/a b.png", f"{BACK} and {ABOVE} and {SHORT}"),
        ("C:\\data\\my set\\img\\a b.png", "img/a b.png", f"{BACK} and {ELSEWHERE}"),
        ("/home/me/my set/img/a b.png", "img/a b.png", ELSEWHERE),
        ("../my set/img/a b.png", "img/a b.png", ELSEWHERE),
        ("img/1.5", "img/1.5.png", SHORT),
        ("img/u\u0308.PNG", "img/ü.PNG", ""),
        ("img/v", "img/v.nii.gz", SHORT),
        ("Series", "series", CASE),
        ("img/gone.png", "img/gone.png", ""),
        ("img/1.7", "img/1.7", ""),
    ],
)
def test_a_cell_is_read_where_one_file_can_be_meant(folder, cell, name, cause):
    found, said = find(folder, cell)
    assert found == name
    assert [cause in what for what in said] == ([True] if cause else [])


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("two/x", "fits 2 files: two/x.png and two/x.tif"),
        ("a b.png", "does not exist, 'img/a b.png' does"),
        ("../other.png", "outside"),
        ("/etc/passwd", "outside"),
        ("x" * 300, "300 characters"),
        ("x/" * 3000, "6000 characters"),
    ],
)
def test_other_cells_are_refused(folder, cell, words):
    with pytest.raises(DataError, match=rf"labels\.csv, line 7: .*{words}"):
        find(folder, cell)


def test_one_remark_for_each_cause(folder):
    files = FileCells(folder / "labels.csv")
    for line, cell in enumerate(("img\\a b.png", "img\\1.5.png", "img/v", "img\\a b.png"), 2):
        files.find(cell, line)
    assert [(issue.line, issue.what[:9]) for issue in files.issues()] == [
        (2, "2 path(s)"),
        (4, "1 path(s)"),
    ]


def test_inside(tmp_path: Path) -> None:
    assert inside(tmp_path / "a" / ".." / "b.png", tmp_path)
    assert not inside(tmp_path / ".." / "b.png", tmp_path)
    assert not inside(tmp_path / "\0.png", tmp_path)
