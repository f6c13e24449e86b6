"""A problem of a folder: one clause that states it, and a sentence that says how to fix it.

`medshot.load` raises the first error as a `DataError`; `medshot data check` lists them all.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from medshot.core import DataError

TABLE = "labels.csv"
Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Issue:
    """A problem of a folder. `str` gives the message of its error.

    An error must be fixed before any score is meaningful; a warning may be acceptable if known; a
    note is informational.
    """

    severity: Severity
    file: Path | None  # None: the folder as a whole
    line: int | None  # in labels.csv, or in `file` if that is a table
    what: str  # the problem: a clause without a period
    fix: str  # the fix: one sentence or more

    def __str__(self) -> str:
        return f"{self._where()}{self.what}. {self.fix}"

    def _where(self) -> str:
        if self.file is None:
            return ""
        if not self.line:
            return f"{self.file}: "
        if self.file.suffix == ".csv":
            return f"{self.file}, line {self.line}: "
        return f"{self.file} ({TABLE}, line {self.line}): "

    def error(self) -> DataError:
        """This finding as an exception, from which `finding_of` recovers it."""
        return DataError(self)


def refusal(file: Path | None, what: str, fix: str, line: int | None = None) -> Issue:
    """A finding of severity "error"."""
    return Issue("error", file, line, what, fix)


def finding_of(error: DataError, file: Path, line: int | None = None) -> Issue:
    """The finding in `error`, with the line of labels.csv that caused it."""
    given = error.args[0] if error.args else ""
    if isinstance(given, Issue):
        return replace(given, line=line or given.line)
    return refusal(file, str(given).rstrip("."), "Fix it or leave it out.", line)


def by_weight(findings: list[Issue]) -> list[Issue]:
    """Sort by severity, then by file and line."""

    def key(finding: Issue) -> tuple[int, str, int, str]:
        weight = SEVERITIES.index(finding.severity)
        return weight, str(finding.file or ""), finding.line or 0, finding.what

    return sorted(findings, key=key)
