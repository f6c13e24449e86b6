from pathlib import Path

from medshot.data.checks.labels import patients
from medshot.data.tables.labels import Row


def rows(*said: tuple[str, str, str]) -> list[Row]:
    return [
        Row(Path(f"{i}.png"), label, patient, split, i + 2)
        for i, (label, patient, split) in enumerate(said)
    ]


def test_nobody_known_is_a_warning(tmp_path: Path) -> None:
    (found,) = patients(rows(("x", "", ""), ("y", "", "")), tmp_path)
    assert found.severity == "warning"
    assert "column patient" in found.mend


def test_some_unknown_is_a_note(tmp_path: Path) -> None:
    (found,) = patients(rows(("x", "", ""), ("y", "p", "")), tmp_path)
    assert (found.severity, found.what[:6]) == ("note", "1 of 2")


def test_several_splits_are_a_leak(tmp_path: Path) -> None:
    told = rows(("x", "p", "train"), ("y", "q", "train"), ("x", "p", ""), ("x", "p", "test"))
    (found,) = patients(told, tmp_path)
    assert (found.severity, found.line) == ("error", 5)
    assert "'p' in test and train" in found.what


def test_several_classes_are_a_note(tmp_path: Path) -> None:
    (found,) = patients(rows(("x", "p", ""), ("y", "p", ""), ("y", "q", "")), tmp_path)
    assert (found.severity, found.line) == ("note", 3)
    assert patients(rows(("x", "p", "a"), ("y", "q", "b"), ("y", "q", "b")), tmp_path) == []
