"""Columns of a table as numbers."""

from pathlib import Path

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.columns import (
    Column,
    cells_at,
    check_columns,
    column_of,
    is_multimodal,
    kinds_of,
    row_of,
    rows_of,
)
from toys.tables import several

TABLE = Path("labels.csv")


def test_numbers_are_standardised_and_words_are_one_of_several():
    age = column_of("age", ["40", "60", "", "NaN"], TABLE)
    sex = column_of("sex", ["F", "M", "?", "F"], TABLE)
    assert (age.mean, age.deviation, sex.words) == (50, 10, ("F", "M"))
    found = row_of([age, sex], {"table.age": "65", "table.sex": "M"})
    assert found[0, :4].tolist() == [1.5, 0, 1, 0]
    assert found[1, :4].tolist() == [1, 1, 1, 0]


def test_what_is_unknown_is_zero_and_known_to_be_so():
    columns = [Column("age", (), 50, 10), Column("sex", ("F", "M"))]
    found = row_of(columns, {"table.age": "", "table.sex": "F"})
    assert found[:, :3].tolist() == [[0, 1, 0], [0, 1, 1]]
    assert row_of(columns, {"table.age": "old", "table.sex": "X"}) is None
    assert row_of(columns, {}) is None


def test_a_number_far_away_is_cut_off():
    assert Column("age", (), 0, 1).values("1e6") == [10]
    assert Column("age", (), 0, 1).values("1e300") is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["", "nan"], "table.x is empty"),
        (["1e15", "2"], "above 1e12"),
        ([f"word {i}" for i in range(11)], "11 different words"),
    ],
)
def test_what_is_no_column_is_named(cells, said):
    with pytest.raises(DataError, match=said):
        column_of("x", cells, TABLE)


def test_a_constant_column_is_zero():
    assert column_of("x", ["3", "3"], TABLE).values("3") == [0]


def test_too_many_columns_are_refused():
    with pytest.raises(DataError, match=r"33 numbers.*room for 32"):
        check_columns([Column(str(i)) for i in range(33)], TABLE)


# Lines of tables, and all that can be wrong with them.


def test_a_line_is_found_by_its_number(tmp_path):
    table = several(tmp_path / "a", n=3) / "labels.csv"
    assert list(rows_of(table)) == [2, 3, 4]
    assert cells_at(table / "3")["text"] == ""
    assert cells_at(table / "3")["path"] == "1.png"
    for wrong in ("1", "5", "x"):
        with pytest.raises(DataError, match="no such line"):
            cells_at(table / wrong)
    with pytest.raises(DataError, match="no such line"):
        cells_at(tmp_path / "no.csv" / "2")


def test_a_table_that_was_written_again_is_read_again(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("label,text\na,one\n")
    assert cells_at(table / "2")["text"] == "one"
    table.write_text("label,text\na,other words\n")
    assert cells_at(table / "2")["text"] == "other words"


def test_kinds_are_told_by_columns(tmp_path):
    assert kinds_of(["path", "text", "table.age", "label"]) == ["image", "text", "table"]
    assert is_multimodal(several(tmp_path / "a"))
    images = tmp_path / "b"
    images.mkdir()
    (images / "labels.csv").write_text("path,label,age\na.png,x,3\n")
    assert not is_multimodal(images)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,colour\na,b\n", "no column path, text, signal or table.NAME"),
        ("label,text\n", "it has no row"),
        ("label,text\na,b,c\n", "more or fewer cells than columns"),
        ("label,text\na\n", "more or fewer cells than columns"),
        ("label,path\na,../b.png\n", "outside of the folder"),
        ("label,signal\na,/etc/passwd\n", "outside of the folder"),
        ('label,text\na,"b\n', "not a CSV file"),
        ("label,text\na,\0\n", "bytes that are zero"),
    ],
)
def test_what_is_wrong_is_said_with_the_table(tmp_path, text, said):
    table = tmp_path / "labels.csv"
    table.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=said) as refused:
        rows_of(table)
    assert "labels.csv" in str(refused.value) or "b.png" in str(refused.value)


def test_no_table_is_said(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        rows_of(tmp_path / "labels.csv")
