"""Lines of tables, and all that can be wrong with them."""

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.columns import cells_at, is_multimodal, kinds_of, rows_of
from toys.tables import several


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
        ("label,text\na,\udcff\n", "not a CSV file"),
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
