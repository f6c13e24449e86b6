"""Folders with a number an image: found by themselves, read to the line."""

import pytest
import torch

import medshot
from medshot.core.errors import DataError
from medshot.data.readers.registry import kind_of
from medshot.tasks import Regression
from toys.files import Write


def test_a_column_of_numbers_is_found_and_read(table: Write):
    folder = table("a.png,3.5,p1", "b.png,-1e2,p1", "c.png,7,p2", columns="path,target,patient")
    data = medshot.load(folder)
    assert data.y.tolist() == [[3.5], [-100.0], [7.0]]
    assert data.groups.tolist() == [0, 0, 1]
    assert data.task == Regression(1)
    assert data.about()["images"] == {"target": 3}
    support, card = data.support(torch.nn.Identity())
    assert card.task == Regression(1).fitted(support.y)


@pytest.mark.parametrize(
    ("lines", "columns", "kind"),
    [
        (("a.png,3", "b.png,x"), "path,target", "regression"),
        (("a.png,b.png",), "path,target", "enhancement"),
        (("a.png,3,x",), "path,target,label", "classification"),
    ],
)
def test_what_the_column_holds_says_the_kind(table: Write, lines, columns, kind):
    assert kind_of(table(*lines, columns=columns)) == kind


def test_numbers_may_be_labels_where_the_user_says_so(table: Write):
    folder = table("a.png,1", "b.png,2")
    assert kind_of(folder) == "classification"
    assert medshot.load(folder, task="regression").y.tolist() == [[1.0], [2.0]]


def test_of_sub_folders_the_name_is_the_number(write: Write):
    write("3.5/a.png")
    folder = write("4/b.png").parents[1]
    assert medshot.load(folder, task="regression").y.tolist() == [[3.5], [4.0]]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('"3,5"', r"b\.png \(labels\.csv, line 3\): its target is '3,5', which is no number"),
        ("3,5", "line 3: it has more cells than columns"),
        ("nan", "'nan', which is no number"),
        ("inf", "'inf', which is no number"),
        ("1_000", "which is no number"),
        ("3 mm", "which is no number"),
        ("1e300", "1e300, too large"),
        ("", "target is empty"),
        ("2", "every image has the target 2"),
    ],
)
def test_bad_cells_are_told_with_their_line(table: Write, cell, words):
    folder = table("a.png,2", f"b.png,{cell}", columns="path,target")
    with pytest.raises(DataError, match=words):
        medshot.load(folder)


def test_one_image_with_two_numbers_is_refused_and_a_copy_is_left_out(table: Write, tmp_path):
    folder = table("a.png,2", "b.png,3", "c.png,2", columns="path,target")
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes())
    data = medshot.load(folder)
    assert len(data) == 2
    assert any("c.png is the same image as a.png" in note for note in data.notes)
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes())
    with pytest.raises(DataError, match="same image under two labels"):
        medshot.load(folder)
