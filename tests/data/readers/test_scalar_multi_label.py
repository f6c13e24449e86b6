"""Folders with findings: several an image, or none."""

import pytest

import medshot
from medshot.core.errors import DataError
from medshot.data.readers.registry import kind_of
from medshot.tasks import MultiLabel
from toys.files import Write


def test_findings_are_split_and_an_empty_cell_is_none(table: Write):
    rows = "a.png,edema;effusion", "b.png,", "c.png,effusion | edema;edema", "d.png,No Finding"
    data = medshot.load(table(*rows, columns="path,labels"))
    assert data.labels == ("edema", "effusion")
    assert data.y.tolist() == [[1, 1], [0, 0], [1, 1], [0, 0]]
    assert data.task == MultiLabel(2)
    assert data.counts() == {"edema": 2, "effusion": 2}


def test_labels_with_such_signs_stay_labels_unless_the_user_says_so(table: Write):
    folder = table("a.png,x;y", "b.png,y", "c.png,x")
    assert kind_of(folder) == "classification"
    assert medshot.load(folder).labels == ("x", "x;y", "y")
    assert medshot.load(folder, task="multi-label").y.tolist() == [[1, 1], [0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (("edema;normal", "edema"), r"a\.png \(labels\.csv, line 2\): it is said to be 'normal'"),
        (("", "none"), "no image has a finding"),
        (("edema", "edema;effusion"), "every image has the finding 'edema'"),
    ],
)
def test_what_says_nothing_is_refused(table: Write, cells, words):
    rows = [f"{name}.png,{cell}" for name, cell in zip("ab", cells, strict=True)]
    with pytest.raises(DataError, match=words):
        medshot.load(table(*rows, columns="path,labels"))


def test_a_path_is_not_optional(table: Write):
    with pytest.raises(DataError, match="line 2: path is empty"):
        medshot.load(table(",edema", "b.png,", columns="path,labels"))
