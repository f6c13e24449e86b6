"""The same image more than once."""

from collections.abc import Sequence

from medshot.data.finding import Finding, refusal
from medshot.data.table import Row


def duplicates(rows: Sequence[Row], digests: Sequence[str]) -> list[Finding]:
    """Errors for one content under two labels, warnings for one that is twice under one."""
    first: dict[str, Row] = {}
    found = []
    for row, digest in zip(rows, digests, strict=True):
        other = first.setdefault(digest, row)
        if other.path != row.path:
            found.append(_pair(other, row))
    return found


def _pair(other: Row, row: Row) -> Finding:
    line = row.line or None
    if other.label != row.label:
        both = f"it ({row.label}) and {other.path} ({other.label})"
        what = f"{both} are the same image under two labels"
        return refusal(row.path, what, "Decide which one is right and remove the other.", line)
    what = f"it is the same image as {other.path}: it can be in both support and query"
    return Finding("warning", row.path, line, what, "Keep one of them.")
