from pathlib import Path

from medshot.data.checks.labels import duplicates
from medshot.data.tables.labels import Row


def test_two_labels_are_an_error_one_a_warning() -> None:
    rows = [Row(Path(f"{i}.png"), label, line=i + 2) for i, label in enumerate("xyxzx")]
    found = duplicates(rows, ["a", "a", "b", "c", "b"])
    assert [(f.severity, f.line) for f in found] == [("error", 3), ("warning", 6)]
    assert "1.png (labels.csv, line 3)" in str(found[0])
    assert "0.png (x)" in str(found[0])
    assert "2.png" in found[1].what


def test_a_file_is_no_duplicate_of_itself() -> None:
    row = Row(Path("a.png"), "x")
    assert duplicates([row, row], ["a", "a"]) == []
