from pathlib import Path

from medshot.core.errors import DataError
from medshot.data.checks.issue import Issue, by_weight, finding_of, refusal


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
