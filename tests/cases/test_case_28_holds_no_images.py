"""A folder of images is not said to hold none; what is missing is named."""

from pathlib import Path

import medshot
from toys.layouts import coco_file, spot_picture, write_json


def _pictures(folder: Path) -> list[str]:
    return [spot_picture(folder / f"{i}.png", i).name for i in range(8)]


def test_coco_is_read(tmp_path: Path) -> None:
    names = _pictures(tmp_path)
    write_json(tmp_path / "_annotations.coco.json", coco_file(names))
    found = medshot.check(tmp_path)
    line = "read as COCO: 8 images, 1 class (cell), 8 boxes from _annotations.coco.json"
    assert found.listed == line
    assert not found.errors
    assert medshot.load(tmp_path).counts() == {"cell": 8}


def test_images_alone_are_counted(tmp_path: Path) -> None:
    _pictures(tmp_path)
    (error,) = medshot.check(tmp_path).errors
    assert error.what == "it holds 8 images and nothing that says what they show"
    assert "boxes.csv" in error.fix


def test_a_table_with_a_capital_is_read(tmp_path: Path) -> None:
    names = _pictures(tmp_path)
    lines = [f"{name},{'ab'[i % 2]}" for i, name in enumerate(names)]
    (tmp_path / "Labels.csv").write_text("\n".join(("path,label", *lines)) + "\n")
    assert not medshot.check(tmp_path).errors
    assert medshot.load(tmp_path).counts() == {"a": 4, "b": 4}


def test_another_table_is_named_with_its_columns(tmp_path: Path) -> None:
    _pictures(tmp_path)
    (tmp_path / "train.csv").write_text("id,diagnosis\n0,a\n")
    (error,) = medshot.check(tmp_path).errors
    assert "8 images" in error.what
    assert "train.csv is not read (its columns: id, diagnosis)" in error.what
