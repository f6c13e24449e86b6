"""Every error that the package raises on purpose.

MedshotError
├── ConfigError      an unknown name or an option that cannot be
│   └── UnknownNameError  a name that is in no table
├── ShapeError       tensors that do not fit together
├── TaskError        a learner or stage that does not do this kind of task
├── DataError        a file, folder or table that cannot be used as it is
│   └── LeakError    one patient on both sides of a split
├── TrainingError    meta-training cannot go on
└── SaveError        something could not be written or is not what we wrote

A message says what is wrong with the values, then what to do, with the file's name.
"""

import difflib
from collections.abc import Iterable


class MedshotError(ValueError):
    """Base class: `except MedshotError` catches whatever the package refuses."""


class ConfigError(MedshotError):
    """A name or an option that does not exist, or a value that it cannot take."""


class UnknownNameError(ConfigError):
    """A name that is in no table: of a learner, an encoder, an option."""


class ShapeError(MedshotError):
    """Two tensors disagree about a dimension."""


class TaskError(MedshotError):
    """This learner or stage does not do this kind of task."""


class DataError(MedshotError):
    """A file, a folder or a table that cannot be used as it is."""


class LeakError(DataError):
    """A patient is on both sides of a split: scores would be too good."""


class TrainingError(MedshotError):
    """Meta-training cannot go on. What was saved before stays."""


class SaveError(MedshotError):
    """A file could not be written, or one that we read is not what we wrote."""


def unknown(name: str, known: Iterable[str], *, kind: str) -> UnknownNameError:
    """The error for a name that is in no table, with the nearest one that is."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownNameError(f"There is no {kind} called {name!r}.{hint} Known: {', '.join(known)}.")
