"""Folders of classes: their parts, and what lies beside these."""

from pathlib import Path

import medshot
from toys.layouts import spot_picture


def _folder(folder: Path, *places: str) -> Path:
    for n, place in enumerate(2 * places):
        spot_picture(folder / place / f"{n}.png", n)
    return folder


def test_only_a_part_that_is_there(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, "Training/a", "Training/b"))
    assert data.counts() == {"a": 2, "b": 2}
    assert data.split == ("train",) * 4
    assert any("2 classes (a, b) in train" in note for note in data.notes)


def test_what_lies_beside_the_parts_is_left_out_and_said(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, "train/a", "train/b", "test/a", "test/b", "samples"))
    assert data.counts() == {"a": 2, "b": 2}
    assert any("Samples beside train" in note for note in data.notes)


def test_unlabelled_images_of_a_test_part_are_left_out(tmp_path: Path) -> None:
    data = medshot.load(_folder(tmp_path, "train/a", "train/b", "test"))
    assert any("left out: test (2)" in note for note in data.notes)


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    assert medshot.load(_folder(tmp_path, "test", "control")).labels == ("control", "test")
