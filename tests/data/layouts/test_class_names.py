"""Names of class numbers, in the files of several programs."""

from pathlib import Path

import pytest

from medshot.core import DataError
from medshot.data.layouts.class_names import class_names

SNAP = """# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "left kidney"
    4     0  255    0        0.5  1  1    "tumor"
"""
SLICER = "# Slicer\n0 Background 0 0 0 0\n1 left_kidney 128 174 128 255\n4 tumor 1 2 3 255\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "classes.csv",
            "number,name,r,g,b\n0,background,0,0,0\n1,left kidney,1,2,3\n4,tumor,1,2,4",
        ),
        ("classes.json", '{"0": "background", "1": "left kidney", "4": "tumor"}'),
        ("labels.json", '{"background": 0, "left kidney": 1, "tumor": 4}'),
        ("organs.label", SNAP),
        ("labels.txt", SNAP),
        ("organs.ctbl", SLICER.replace("left_kidney", "left-kidney")),
    ],
)
def test_a_file_is_read(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    found = class_names(tmp_path)
    assert {n: called.replace("-", " ") for n, called in found.items()} == {
        1: "left kidney",
        4: "tumor",
    }


def test_what_names_no_number_is_left_alone(tmp_path: Path):
    (tmp_path / "labels.json").write_text('{"images": [], "annotations": []}')
    (tmp_path / "classes.csv").write_text("name,r,g,b\nliver,1,2,3\n")
    (tmp_path / "labels.txt").write_text("liver\nspleen\n")
    assert class_names(tmp_path) == {}


def test_one_name_for_two_numbers_is_refused(tmp_path: Path):
    (tmp_path / "classes.json").write_text('{"1": "liver", "2": "liver"}')
    with pytest.raises(DataError, match="liver"):
        class_names(tmp_path)
