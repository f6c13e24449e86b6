from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.checks.issue import Issue, by_weight, finding_of, refusal, together


def test_as_a_string_it_is_a_message() -> None:
    path = Path("d/x.png")
    assert str(refusal(path, "it is bad", "Mend it.")) == "d/x.png: it is bad. Mend it."
    assert str(refusal(None, "All are bad", "Mend.")) == "All are bad. Mend."
    assert str(refusal(path, "bad", "Mend.", 3)) == "d/x.png (labels.csv, line 3): bad. Mend."
    assert str(refusal(Path("d/labels.csv"), "bad", "Mend.", 3)) == (
        "d/labels.csv, line 3: bad. Mend."
    )


def test_to_an_error_and_back() -> None:
    finding = refusal(Path("x.png"), "bad", "Mend.")
    assert str(finding.error()) == str(finding)
    assert finding_of(finding.error(), Path("y.png")) == finding
    assert finding_of(finding.error(), Path("y.png"), 4).line == 4
    other = finding_of(DataError("Something else."), Path("y.png"), 2)
    assert (other.file, other.line, other.what) == (Path("y.png"), 2, "Something else")


def test_order() -> None:
    found = [
        Issue("note", None, None, "n", ""),
        Issue("error", Path("b"), None, "e", ""),
        Issue("warning", None, None, "w", ""),
        Issue("error", Path("a"), 7, "e", ""),
        Issue("error", Path("a"), 3, "e", ""),
    ]
    told = [(f.severity, f.line) for f in by_weight(found)]
    assert told == [("error", 3), ("error", 7), ("error", None), ("warning", None), ("note", None)]


def test_findings_of_one_cause_are_one() -> None:
    table = Path("labels.csv")
    empty = [refusal(table, "label is empty", "Fill it in.", i) for i in range(2, 12)]
    named = [refusal(table, f"{i} is no number", "Mend.", i, cause="no number") for i in (30, 20)]
    files = [refusal(Path(f"{i}.png"), "it does not exist", "Mend.") for i in range(2)]
    whole = [Issue("note", None, None, "n", "")] * 2
    found = together([*empty, *named, *files, refusal(table, "alone", "Mend.", 40), *whole])
    assert [each.what for each in found] == [
        "label is empty (10 times: lines 2, 3, 4, 5, 6, ...)",
        "20 is no number (2 times: lines 20, 30)",
        "it does not exist (2 times: first 0.png, 1.png)",
        "alone",
        "n (2 times)",
    ]
    assert [each.line for each in found] == [2, 20, None, 40, None]


def test_as_a_sentence_it_has_no_place() -> None:
    assert refusal(Path("x.png"), "it is bad", "Mend it.", 3).sentence == "It is bad. Mend it."
