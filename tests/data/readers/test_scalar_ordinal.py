"""Folders with a grade an image."""

import pytest

import medshot
from medshot.core.errors import DataError
from medshot.tasks import Ordinal
from toys.files import Write


def test_grades_are_in_the_order_of_their_numbers(table: Write):
    folder = table("a.png,10", "b.png,0", "c.png,2", "d.png,2.0", columns="path,grade")
    data = medshot.load(folder)
    assert data.labels == ("0", "2", "10")
    assert data.y.tolist() == [2, 0, 1, 1]
    assert data.task == Ordinal(2)
    assert data.counts() == {"0": 1, "2": 2, "10": 1}


def test_sub_folders_may_be_grades_where_the_user_says_so(write: Write):
    write("0/a.png")
    folder = write("1/b.png").parents[1]
    assert medshot.load(folder).task.kind == "classification"
    assert medshot.load(folder, task="ordinal").labels == ("0", "1")


def test_words_and_measurements_are_no_grades(table: Write):
    with pytest.raises(DataError, match=r"line 3.*'mild', which is no number"):
        medshot.load(table("a.png,1", "b.png,mild", columns="path,grade"))
    many = [f"{i}.png,{i}" for i in range(21)]
    with pytest.raises(DataError, match=r"21 different grade\(s\).*--task regression"):
        medshot.load(table(*many, columns="path,grade"))
    with pytest.raises(DataError, match=r"1 different grade\(s\)"):
        medshot.load(table("a.png,1", "b.png,1", columns="path,grade"))
