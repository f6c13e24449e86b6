"""boxes.csv: what is read, and every way in which a line can be wrong."""

import pytest

from medshot.data.tables.boxes import read_boxes

HEAD = "path,xmin,ymin,xmax,ymax,label"


def read(folder, *lines):
    table = folder / "boxes.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    return read_boxes(table)


def test_boxes_by_image_whatever_the_order_of_columns(tmp_path):
    found, findings = read(
        tmp_path,
        "label,path,note,xmin, ymin,xmax,ymax",
        "a,x.png,hm,1,2,3.5,4",
        "b,x.png,,0,0,2,2",
        ",y.png,,,,,",
    )
    assert findings == []
    x, y = (found[tmp_path / name] for name in ("x.png", "y.png"))
    assert [(box.corners, box.label, box.line) for box in x] == [
        ((1, 2, 3.5, 4), "a", 2),
        ((0, 0, 2, 2), "b", 3),
    ]
    assert y == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x.png,1,2,1,4,a", "the box has no size: xmin is 1, xmax 1"),
        ("x.png,1,5,3,4,a", "the box is reversed: ymin is 5, ymax 4"),
        ("x.png,nan,2,3,4,a", "not finite"),
        ("x.png,1,2,inf,4,a", "not finite"),
        ("x.png,one,2,3,4,a", "a corner is not a number .*'one'"),
        ("x.png,1,2,3,4,", "label is empty"),
        ("x.png,1,,3,4,a", "ymin is empty"),
        (",1,2,3,4,a", "path is empty"),
        ("../x.png,1,2,3,4,a", "lies outside of the folder"),
        ("/x.png,1,2,3,4,a", "lies outside of the folder"),
        ("x.png,1,5,2,0,3,5,4,0,a", "more cells than columns. A number has a point"),
        ("x.png,1", "ymin and xmax and ymax and label is empty"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, line, words):
    found, findings = read(tmp_path, HEAD, "ok.png,1,2,3,4,a", line)
    assert list(found) == [tmp_path / "ok.png"]
    assert len(findings) == 1
    with pytest.raises(type(findings[0].error()), match=rf"boxes\.csv, line 3: .*{words}"):
        raise findings[0].error()


def test_the_same_box_twice_is_refused(tmp_path):
    _, findings = read(tmp_path, HEAD, "x.png,1,2,3,4,a", "x.png,1,2,3,4.0,b")
    assert "the same box in lines 2 and 3" in str(findings[0])


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("path,x,y,w,h,label", "no column xmin or ymin or xmax or ymax"),
        ("", r"no column path or .*\(it has: x\.png, 1"),
    ],
)
def test_other_columns_are_refused(tmp_path, head, words):
    found, findings = read(tmp_path, head, "x.png,1,2,3,4,a")
    assert found == {}
    with pytest.raises(type(findings[0].error()), match=words):
        raise findings[0].error()


def test_what_is_no_text_in_utf_8_is_read_with_a_warning(tmp_path):
    table = tmp_path / "boxes.csv"
    table.write_bytes(f"{HEAD}\nx.png,1,2,3,4,caf\xe9".encode("latin-1"))
    found, (warning,) = read_boxes(table)
    assert "not UTF-8" in warning.what
    assert found[tmp_path / "x.png"][0].label == "café"


def test_decimal_commas_between_semicolons(tmp_path):
    head = HEAD.replace(",", ";")
    found, (note,) = read(tmp_path, head, "x.png;1,5;2;3,25;4;a", "x.png;1,125;2;3;4;a")
    assert note.severity == "note"
    assert [box.corners for box in found[tmp_path / "x.png"]] == [
        (1.5, 2, 3.25, 4),
        (1.125, 2, 3, 4),
    ]


def test_a_thousand_lines_with_one_fault_are_one_finding(tmp_path):
    lines = [f"{i}.png,1,2,x{i},4,a" for i in range(1000)] + [
        f"{i}.png,3,2,1,4,a" for i in range(9)
    ]
    _, findings = read(tmp_path, HEAD, *lines)
    assert [finding.line for finding in findings] == [2, 1002]
    assert "(1000 times: lines 2, 3, 4, 5, 6, ...)" in findings[0].what
    assert "(9 times: lines 1002, 1003" in findings[1].what
