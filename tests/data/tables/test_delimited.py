"""Tables as people save them."""

from pathlib import Path

import pytest

from medshot.core.errors import DataError
from medshot.data.tables.delimited import canonical, other_tables, read_delimited, table_in
from medshot.data.tables.labels import read_table

LINES = ("path,label,patient", "ä.png,x y,7", "b.png,z,8")


def saved(folder: Path, raw: bytes, name: str = "labels.csv") -> Path:
    (folder / name).write_bytes(raw)
    return folder / name


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_separator_and_encoding_is_the_same_table(tmp_path, separator, encoding, end):
    text = end.join(line.replace(",", separator) for line in LINES)
    found = read_delimited(saved(tmp_path, text.encode(encoding)))
    assert found.columns == ("path", "label", "patient")
    assert [tuple(line.cells.values()) for line in found.lines] == [
        ("ä.png", "x y", "7"),
        ("b.png", "z", "8"),
    ]
    assert [line.number for line in found.lines] == [2, 3]
    assert [issue.severity for issue in found.issues if "1252" in issue.what] == (
        ["warning"] if encoding == "cp1252" else []
    )


@pytest.mark.parametrize(
    ("head", "first"),
    [
        ("sep=;\n", 3),
        ('"sep=;"\r\n', 3),
        ("\n\n", 4),
        ("# exported\n#, by a program\n", 4),
        (";;\n", 3),
    ],
)
def test_lines_before_the_header(tmp_path, head, first):
    text = head + "path;label\na.png;x\n\n;;\n# a remark\nb.png;y;\n"
    found = read_delimited(saved(tmp_path, text.encode()))
    assert found.columns == ("path", "label")
    assert [(line.number, line.cells["path"]) for line in found.lines] == [
        (first, "a.png"),
        (first + 4, "b.png"),
    ]


def test_a_file_whose_name_starts_as_a_comment_is_listed(tmp_path):
    (tmp_path / "#1.png").touch()
    table = saved(tmp_path, b"path,label\n#1.png,\n#2.png,\n")
    assert [line.cells["path"] for line in read_delimited(table).lines] == ["#1.png"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (" Path ", "path"),
        ("LABEL", "label"),
        ("\ufefflabel\u00a0", "label"),
        ("Patient-ID", "patient_id"),
        ("Subject ID", "subject_id"),
        ("Table.Age", "table.Age"),
        ("Source_Guess", "source_guess"),
        ("Some Note", "Some Note"),
    ],
)
def test_names_of_columns(given, name):
    assert canonical(given) == name


@pytest.mark.parametrize("name", ["Patient_ID", "patientid", "subject", " Participant ID "])
def test_another_word_for_patient_is_read_with_a_note(tmp_path, name):
    table = saved(tmp_path, f" Path ,LABEL,{name}\na.png,x,7\n".encode())
    rows, (note,) = read_table(table)
    assert rows[0].patient == "7"
    assert (note.severity, note.line) == ("note", 1)
    assert "read as patient" in note.what
    table.write_text(f"path,label,{name},patient\na.png,x,7,8\n")
    assert read_table(table)[0][0].patient == "8"


@pytest.mark.parametrize(
    "name", ["path", "label", "patient", "mask", "target", "xmin", "text", "table.age", "x_guess"]
)
def test_two_columns_of_one_name_are_refused(tmp_path, name):
    table = saved(tmp_path, f"a,{name},b,{name.upper().replace('AGE', 'age')}\n1,2,3,4\n".encode())
    with pytest.raises(DataError, match=rf"2 columns are called {name} \(columns 2 and 4\)"):
        read_delimited(table)
    assert read_delimited(saved(tmp_path, b"path,note,note\n")).columns


def test_a_table_in_other_case_or_as_tsv(tmp_path):
    assert table_in(tmp_path) == tmp_path / "labels.csv"
    (tmp_path / "Labels.TSV").touch()
    assert table_in(tmp_path).name == "Labels.TSV"
    (tmp_path / "LABELS.csv").touch()
    assert table_in(tmp_path).name == "labels.csv", "which of two is meant is not known"
    (tmp_path / "labels.csv").touch()
    assert table_in(tmp_path) == tmp_path / "labels.csv"


def test_tables_that_are_not_read(tmp_path):
    saved(tmp_path, b"Path;Label\n", "metadata.csv")
    saved(tmp_path, b"path,source_path\n", "source.csv")
    saved(tmp_path, b"path,xmin,ymin,xmax,ymax,label\n", "boxes.csv")
    saved(tmp_path, b"PK", "labels.xlsx")
    book, table = other_tables(tmp_path)
    assert (book.file, table.file) == (tmp_path / "labels.xlsx", tmp_path / "metadata.csv")
    assert "workbook" in book.what
    assert "labels.csv" in table.fix


def test_lines_in_quotation_marks_are_read(tmp_path):
    table = saved(tmp_path, b'"path,label"\r\n"a.png,""x, y"""\r\n')
    found = read_delimited(table)
    assert found.lines[0].cells == {"path": "a.png", "label": "x, y"}
    assert "quotation marks around its lines" in found.issues[0].what
    assert read_delimited(saved(tmp_path, b'"path"\n"a, b.png"\n')).columns == ("path",)


def test_which_of_two_words_for_patient_is_told(tmp_path):
    table = saved(tmp_path, b"path,label,subject,patient_id\na.png,x,7,8\n")
    rows, (warning,) = read_table(table)
    assert rows[0].patient == "8"
    assert "patient_id is read as patient, subject not" in warning.what
