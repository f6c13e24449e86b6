"""The table of predictions, whatever names classes and files have."""

import csv
import io
from pathlib import Path

import pytest

from medshot.core.errors import ConfigError
from medshot.core.prediction import FindingsPrediction, NumberPrediction, Prediction
from medshot.presenters.tables import (
    Findings,
    LabelTable,
    Numbers,
    answer_folder,
    harmless,
    path_cell,
)


def test_one_row_an_image() -> None:
    answers = LabelTable(("a", "b"))
    answers.add(Prediction("x.png", "b", {"a": 0.25, "b": 0.75}))
    answers.add_unread(Path("y.png"))
    assert answers.unread == 1
    assert answers.text() == (
        "path,prediction,confidence,p(a),p(b)\nx.png,b,0.750000,0.250000,0.750000\ny.png,,,,\n"
    )


def test_a_number_keeps_six_digits() -> None:
    answers = Numbers()
    answers.add(NumberPrediction("x.png", {"mm": 1234.5678}))
    answers.add_unread(Path("y.png"))
    assert answers.text() == "path,prediction\nx.png,1234.57\ny.png,\n"


def test_findings_are_written_as_they_are_read() -> None:
    answers = Findings(("=a", "b"))
    answers.add(FindingsPrediction("x.png", ("=a", "b"), {"=a": 0.75, "b": 0.5}))
    answers.add(FindingsPrediction("y.png", (), {"=a": 0.25, "b": 0.25}))
    assert answers.text() == (
        "path,prediction,p(=a),p(b)\nx.png,'=a;b,0.750000,0.500000\ny.png,,0.250000,0.250000\n"
    )


@pytest.mark.parametrize(
    ("label", "cell"),
    [
        ("normal", "normal"),
        ("-1", "-1"),
        ("+2.5", "+2.5"),
        ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
    ],
)
def test_a_spreadsheet_runs_no_label(label: str, cell: str) -> None:
    assert harmless(label) == cell


def test_paths_stay_paths() -> None:
    assert path_cell("=a.png") == "./=a.png"
    assert path_cell(Path("/x/=a.png")) == "/x/=a.png"
    assert path_cell("\udc80.png") == "\\x80.png"


def test_commas_quotes_and_lines_come_back() -> None:
    labels = ('a, "b"', "<script>alert(1)</script>", "two\nlines", "path", "=cmd()")
    answers = LabelTable(labels)
    odds = dict.fromkeys(labels, 0.2)
    for label in labels:
        answers.add(Prediction("x.png", label, odds))
    header, *rows = csv.reader(io.StringIO(answers.text(), newline=""))
    assert header == ["path", "prediction", "confidence", *(f"p({label})" for label in labels)]
    assert [row[1] for row in rows] == [*labels[:-1], "'=cmd()"]
    assert not any(cell.startswith("=") for row in (header, *rows) for cell in row)


def test_a_folder_is_not_called_as_a_table_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"without \.csv"), answer_folder(tmp_path / "x.csv"):
        pytest.fail("refused before anything is answered")
    with answer_folder(tmp_path / "answers") as folder:
        folder.mkdir(exist_ok=True)
    assert (tmp_path / "answers").is_dir()
