"""Paths from another system: back-slashes, no suffix, capitals, the folder in front."""

import pytest

import medshot
from medshot.data.tables.labels import read_table
from medshot.data.tables.manifest import find_images
from toys.picture_folders import listed, pictures

FORMS = ("img\\{}.png", "img/{}", "img/{}.PNG", "my_set/img/{}.png")


def test_they_are_read_with_one_finding_a_cause(tmp_path):
    folder = pictures(tmp_path / "my_set", [f"img/case_{i}.png" for i in range(8)])
    lines = [f"{FORMS[i % 4].format(f'case_{i}')},{'ab'[i % 2]},p{i}" for i in range(8)]
    data = medshot.load(listed(folder, lines))
    assert [row.path.name for row in data.rows] == [f"case_{i}.png" for i in range(8)]
    found = medshot.check(folder).findings
    assert [f.severity for f in found] == ["warning"] * 4
    assert [f.line for f in found] == [2, 3, 4, 5]
    assert all(f.what.startswith("2 path(s)") for f in found)
    assert len([note for note in data.notes if "path(s)" in note]) == 4


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_what_is_not_there_is_told_once_and_not_to_be_converted(tmp_path, suffix):
    folder = pictures(tmp_path, ["a.png", "b.png"])
    lines = ["a.png,x,1", "b.png,y,2", *(f"gone_{i}{suffix},x,3" for i in range(500))]
    (error,) = medshot.check(listed(folder, lines)).errors
    assert error.line == 4
    assert "it does not exist (500 times: lines 4, 5, 6, 7, 8, ...)" in error.what
    assert "onvert" not in str(error)


def test_masks_are_found_in_the_same_way_and_are_no_images(tmp_path):
    folder = pictures(tmp_path, [f"{kind}/{i}.png" for kind in ("img", "seg") for i in range(2)])
    listed(folder, [f"img\\{i}.png,SEG\\{i},p{i}" for i in range(2)], "path,mask,patient")
    rows, _ = read_table(folder / "labels.csv", "mask")
    assert [row.mask.name for row in rows] == ["0.png", "1.png"]
    assert [path.parent.name for path in find_images([folder])] == ["img", "img"]
