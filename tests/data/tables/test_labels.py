from pathlib import Path

import pytest

from medshot.data.tables.labels import Row, mask_columns, read_table
from toys.files import Write


def errors(table: Path) -> list[str]:
    return [str(f) for f in read_table(table)[1] if f.severity == "error"]


def test_rows_hold_all_that_is_said(table: Write, tmp_path: Path) -> None:
    table("a.png, x ,p1,train", "b.png,y,,", columns="path, label,patient,split")
    rows, findings = read_table(tmp_path / "labels.csv")
    assert findings == []
    assert rows == [
        Row(tmp_path / "a.png", "x", "p1", "train", 2),
        Row(tmp_path / "b.png", "y", "", "", 3),
    ]


def test_a_guess_stands_in_for_the_patient(table: Write, tmp_path: Path) -> None:
    table("a.png,x,g1", "b.png,y,", columns="path,label,group_guess")
    assert [row.patient for row in read_table(tmp_path / "labels.csv")[0]] == ["g1", ""]


def test_all_errors_are_found_and_name_their_line(table: Write, tmp_path: Path) -> None:
    (tmp_path.parent / "away.png").write_bytes(b"")
    (tmp_path / "link.png").symlink_to(tmp_path.parent / "away.png")
    table(*("a.png,x", "b.png,", ",y", "../away.png,y", "link.png,y", "/etc/passwd,y", "a.png,y"))
    found = errors(tmp_path / "labels.csv")
    assert len(found) == 4
    assert "line 3: label is empty" in found[0]
    assert "line 4: path is empty" in found[1]
    assert "line 5: ../away.png lies outside of the folder (3 times: lines 5, 6, 7)" in found[2]
    assert "stands in lines 2, 8, under the labels x and y" in found[3]
    assert all(str(tmp_path / "labels.csv") in message for message in found)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"path,class\na.png,x\n", "no column label (it has: path, class)"),
        (b"", "no column label or path (it has: none)"),
        (b"path,mask\na.png,b.png\n", "masks, not labels"),
        (b"path,label\na\x81.png,x\n", "not UTF-8 text"),
        (b"PK\x03\x04 and so on", "an .xlsx or .ods workbook, not text"),
        (b"path,label\na.png,x\0\n", "bytes that are zero"),
        (b"path,label,Label\na.png,x,y\n", "2 columns are called label (columns 2 and 3)"),
        (b'path,label\na.png,"x\nb.png,y\n', "a quotation mark is opened and not closed"),
        (b'path,label\na.png,"x\nb.png,"y\n', "line 2: it is not a CSV file"),
        (b"path,label\na.png," + b"x" * 2000 + b"\n", "label has 2000 characters ('xxx"),
        (b'path,label,note\na.png,"x\nb.png,y,"\n', "column label is opened and not closed"),
        (b"path,label\n" + b"x" * 200_000 + b",y\n", "not a CSV file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "labels.csv").write_bytes(raw)
    found = errors(tmp_path / "labels.csv")
    assert len(found) == 1
    assert said in found[0]


def test_windows_files_are_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,label\r\na.png,x\r\nb.png,y\r\n")
    rows, (note,) = read_table(path)
    assert [(row.label, row.line) for row in rows] == [("x", 2), ("y", 3)]
    assert note.severity == "note"
    assert "byte-order mark and Windows line ends" in note.what


def test_a_name_with_a_comma_is_told(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('path,label\na, b.png,x\n"c, d.png",y,,\n')
    rows, findings = read_table(path)
    assert [row.path.name for row in rows] == ["a", "c, d.png"]
    assert [(f.severity, f.line) for f in findings] == [("error", 2)]


@pytest.mark.parametrize(
    ("columns", "cells", "found"),
    [
        ("mask", "a.png", "mask"),
        ("mask_1,Mask 2,mask.bob", "a.png,b.png,c.nii.gz", "mask_1 mask_2 mask.bob"),
        ("mask_1,mask_2", ",b.png", "mask_2"),  # a rater who marked nothing
        ("mask,mask.1,mask_overlay", "a.png,b.png,c.png", "mask mask.1"),
        ("mask,mask_quality", "a.png,good", "mask"),
        ("label,mask_quality", "x,good", ""),
        ("mask_1", "i", "mask_1"),  # lacks the suffix of i.png
    ],
)
def test_columns_of_masks_name_files(
    table: Write, tmp_path: Path, columns: str, cells: str, found: str
) -> None:
    table(f"i.png,{cells}", columns=f"path,{columns}")
    assert " ".join(mask_columns(tmp_path / "labels.csv")) == found
