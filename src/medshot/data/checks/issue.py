"""A problem of a folder: one clause that states it, and a sentence that says how to fix it.

`medshot.load` raises the first error as a `DataError`; `medshot data check` lists them all.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from medshot.core import DataError

TABLE = "labels.csv"
TABLES = (".csv", ".tsv", ".txt")
SKIP = " To go on without it: --skip-bad (in Python skip_bad=True)."
NAMED = 5  # lines or files that a finding on many of them names
FIRST = "first this one"  # of several files: that of the finding
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
    cause: str = field(default="", compare=False)  # if `what` differs: what `together` joins
    alone: bool = field(default=False, compare=False)  # others could be read without this one

    def __str__(self) -> str:
        return f"{self._where()}{self.what}. {self.fix}{SKIP if self.alone else ''}"

    def _where(self) -> str:
        if self.file is None:
            return ""
        if not self.line:
            return f"{self.file}: "
        if self.file.suffix.lower() in TABLES:
            return f"{self.file}, line {self.line}: "
        return f"{self.file} ({TABLE}, line {self.line}): "

    @property
    def sentence(self) -> str:
        """Problem and fix without the place, for the notes of a data set; `FIRST` is named."""
        what = self.what.replace(FIRST, f"first {self.file.name}") if self.file else self.what
        return f"{what[:1].upper()}{what[1:]}. {self.fix}"

    def error(self) -> DataError:
        """This finding as an exception, from which `finding_of` recovers it."""
        return DataError(self)


def refusal(
    file: Path | None, what: str, fix: str, line: int | None = None, *, cause: str = ""
) -> Issue:
    """A finding of severity "error"."""
    return Issue("error", file, line, what, fix, cause)


def finding_of(error: DataError, file: Path, line: int | None = None) -> Issue:
    """The finding in `error`, with the line of labels.csv that caused it."""
    given = error.args[0] if error.args else ""
    if isinstance(given, Issue):
        return replace(given, line=line or given.line)
    return refusal(file, str(given).rstrip("."), "Fix it or leave it out.", line)


def together(findings: Sequence[Issue]) -> list[Issue]:
    """One finding for each cause: the first, with the number and places of all."""
    groups: dict[tuple[str, ...], list[Issue]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.cause or finding.what, finding.fix].append(finding)
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[Issue]) -> Issue:
    first = min(group, key=lambda finding: finding.line or 0)
    lines = sorted({finding.line for finding in group if finding.line})
    if len(group) == 1:
        return first
    if len(lines) == len(group):
        places = f"lines {', '.join(map(str, lines[:NAMED]))}"
    else:
        names = dict.fromkeys(finding.file.name for finding in group if finding.file)
        places = f"first {', '.join([*names][:NAMED])}" if names else ""
    more = ", ..." if len(group) > NAMED and places else ""
    count = f"{len(group)} times: {places}{more}" if places else f"{len(group)} times"
    return replace(first, what=f"{first.what} ({count})")


def by_weight(findings: list[Issue]) -> list[Issue]:
    """Sort by severity, then by file and line."""

    def key(finding: Issue) -> tuple[int, str, int, str]:
        weight = SEVERITIES.index(finding.severity)
        return weight, str(finding.file or ""), finding.line or 0, finding.what

    return sorted(findings, key=key)
