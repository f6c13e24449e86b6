"""What is a number, and what is only like one."""

from pathlib import Path

import pytest
import torch

import medshot
from medshot.core.errors import DataError
from medshot.data.readers.registry import kind_of
from medshot.data.readers.scalar import NUMBER, findings_of
from medshot.data.tables.labels import Row
from medshot.tasks import MultiLabel, Ordinal, Regression
from toys.files import Write


@pytest.mark.parametrize("text", ["3", "-3.5", "+.5", "5.", "1e-3", "2E10"])
def test_a_number(text: str) -> None:
    assert NUMBER.fullmatch(text)
    float(text)


@pytest.mark.parametrize("text", ["", ".", "3,5", "1_000", "nan", "inf", "0x10", "3 mm", "٣", "e5"])
def test_no_number(text: str) -> None:
    assert not NUMBER.fullmatch(text)


# Folders with findings: several an image, or none.


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


# Folders with a grade an image.


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
    with pytest.raises(DataError, match=r"line 3.*'mild'"):
        medshot.load(table("a.png,1", "b.png,mild", columns="path,grade"))
    many = [f"{i}.png,{i}" for i in range(21)]
    with pytest.raises(DataError, match=r"21 .*--task regression"):
        medshot.load(table(*many, columns="path,grade"))
    with pytest.raises(DataError, match=r"1 different grade\(s\)"):
        medshot.load(table("a.png,1", "b.png,1", columns="path,grade"))


# Folders with a number an image: found by themselves, read to the line.


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
        ('"3,5 mm"', r"b\.png \(labels\.csv, line 3\): its target is '3,5 mm', which is no number"),
        ('"1,234"', "'1,234', which is 1234 or a decimal number"),
        ("3,5", "line 3: it has more cells than columns"),
        ("nan", "line 3: target is 'nan', which programs write"),
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


def test_decimal_commas_and_digits_of_other_scripts_are_numbers(table: Write):
    folder = table('a.png,"3,5"', 'b.png,"1,125"', "c.png,\uff12", columns="path,target")
    assert medshot.load(folder).y.tolist() == [[3.5], [1.125], [2.0]]


def test_a_fault_of_many_lines_is_told_once_with_their_number(table: Write):
    lines = ["a.png,1", *(f"{i}.png,x{i}" for i in range(30))]
    with pytest.raises(
        DataError, match=r"'x0', which is no number \(30 times: lines 3, 4, 5, 6, 7,"
    ):
        medshot.load(table(*lines, columns="path,target"))


def findings(*cells: str) -> tuple[list[set[str]], list[str]]:
    return findings_of([Row(Path("x.png"), cell) for cell in cells])


@pytest.mark.parametrize(
    ("cells", "said", "notes"),
    [
        (["a;b", "b | c", ""], [{"a", "b"}, {"b", "c"}, set()], []),
        (["a", "A", "A\u00a0", "No Finding"], [{"A"}, {"A"}, {"A"}, set()], ["differ in case"]),
        (["a, b", "a", "b"], [{"a", "b"}, {"a"}, {"b"}], ["'a, b'"]),
        (["a, b", "a", "c"], [{"a", "b"}, {"a"}, {"c"}], ["'a, b'"]),
        (["a, b", "a, c", "d"], [{"a", "b"}, {"a", "c"}, {"d"}], ["'a, b', 'a, c'"]),
        (["a, b", "d"], [{"a, b"}, {"d"}], ["has a comma"]),
        (["a/b", "a", "b", "c/d"], [{"a", "b"}, {"a"}, {"b"}, {"c/d"}], ["'a/b'"]),
        (["['a', 'b']", "[]", "a"], [{"a", "b"}, set(), {"a"}], []),
        (["ER+", "ER-"], [{"ER+"}, {"ER-"}], []),
    ],
)
def test_findings_as_people_write_them(cells, said, notes):
    found, told = findings(*cells)
    assert found == said
    assert len(told) == len(notes)
    assert all(words in note for words, note in zip(notes, told, strict=True))


def test_normal_in_a_list_with_others_is_refused():
    with pytest.raises(DataError, match="'normal' and 'a' at once"):
        findings("a, normal", "a")
