"""Leave out rows and files that cannot be used, each named, instead of stopping at the first.

    with skipping_bad() as left:  # issues of what was left out
        dataset = load_one(folder)

Only problems of one line or one file are skipped; those of a whole folder (a missing column, one
class only) are errors as before.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

from medshot.data.checks.issue import Issue, together

MOST = 10  # causes that notes name
_LEFT_OUT: ContextVar[list[Issue] | None] = ContextVar("left_out", default=None)


@contextmanager
def skipping_bad(skip: bool = True) -> Iterator[list[Issue]]:
    """Skip bad rows within the block, if `skip`; yields the issues of those left out.

    Within another such block, bad rows are skipped all the same, and both get the issues.
    """
    found: list[Issue] = []
    outer = _LEFT_OUT.get()
    token = _LEFT_OUT.set(found if skip or outer is not None else None)
    try:
        yield found
    finally:
        _LEFT_OUT.reset(token)
        if outer is not None:
            outer += found


def is_skipping() -> bool:
    """Whether bad rows are skipped."""
    return _LEFT_OUT.get() is not None


def skip_or_raise(issues: Iterable[Issue]) -> None:
    """Leave out what `issues` of single rows name, or raise the first of those that are errors.

    Raises:
        DataError: bad rows are not skipped.
    """
    errors = [issue for issue in issues if issue.severity == "error"]
    left = _LEFT_OUT.get()
    for error in errors:
        if left is None:
            raise replace(error, alone=True).error()
        left.append(error)


def left_out_notes(issues: Sequence[Issue]) -> tuple[str, ...]:
    """What was left out, for the notes of a data set: one for each cause, with files and lines."""
    joined = together(list(dict.fromkeys(issues)))
    notes = [f"Left out: {str(each).rstrip('.')}." for each in joined[:MOST]]
    if (more := len(joined) - MOST) > 0:
        notes.append(f"Left out for {more} further causes: see data check.")
    return tuple(notes)
