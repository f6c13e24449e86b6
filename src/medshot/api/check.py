"""What is wrong or doubtful in a folder: `medshot.check`."""

from dataclasses import dataclass, replace
from pathlib import Path

from medshot.core import DataError, Table, Tabular
from medshot.data.checks.issue import Issue, by_weight, together
from medshot.data.checks.skip import skipping_bad
from medshot.data.layouts.recognize import content_of, unlabeled_value
from medshot.data.readers.registry import FolderKind, folder_kind, kind_of
from medshot.presenters import kind_called


@dataclass(frozen=True)
class Checked(Tabular):
    """What is to be known of a folder before anything is learned from it: errors first."""

    folder: Path
    kind: str  # of task
    listed: str  # what names and tables say that it holds
    findings: tuple[Issue, ...]

    @property
    def errors(self) -> tuple[Issue, ...]:
        """Findings without whose fix scores mean nothing."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def verdict(self) -> str:
        """How many errors and other remarks there are."""
        if not self.findings:
            return f"{self.folder}: nothing to fix."
        others = len(self.findings) - len(self.errors)
        return f"{len(self.errors)} error(s), {others} other remark(s)."

    def table(self) -> Table:
        """One row per finding: severity, file, problem, fix."""
        rows = tuple(
            (each.severity, str(each.file or ""), each.what, each.fix) for each in self.findings
        )
        heads = ("severity", "file", "problem", "fix") if rows else ()
        said = f"{self.folder} ({self.kind}): {self.listed}. " if self.listed else ""
        return Table(said + self.verdict, heads, rows)


def check(
    folder: str | Path,
    task: str | None = None,
    *,
    skip_bad: bool = False,
    ignore_value: int | None = None,
) -> Checked:
    """Check a folder of images: problems by file, each with its fix.

    `load` stops at the first error; this goes on, and also reports what inflates scores. For
    labels and masks every row is checked; for other tasks it reports what `load` finds. Nothing
    is changed. With `skip_bad`, problems of lines and files that `load(..., skip_bad=True)` leaves
    out are warnings. Pixels of masks with `ignore_value` have no label.

    Raises:
        DataError: there is no such folder.
        ConfigError: there is no such kind of task.
    """
    folder = Path(folder)
    kind = kind_of(folder, task)
    content = content_of(folder)
    reader = folder_kind(kind)
    said = content.line_of(reader.target) if content else ""
    listed = said or kind_called(kind).listed(folder)
    with unlabeled_value(ignore_value):
        found = _skipped(folder, reader) if skip_bad else reader.findings(folder)
    return Checked(folder, kind, listed, tuple(by_weight(together(found))))


def _skipped(folder: Path, reader: FolderKind) -> list[Issue]:
    """Findings of a folder, in which those of rows that are left out are warnings."""
    found = reader.findings(folder)
    with skipping_bad() as left:
        try:
            reader.read(folder, None, None)
        except DataError:  # no row can be used, or the folder as a whole is wrong
            return found
        rest = [each for each in reader.findings(folder) if each.severity != "error"]
    issues = dict.fromkeys(left)
    return [*rest, *(replace(i, severity="warning", what=f"left out: {i.what}") for i in issues)]
