"""All exceptions that the package raises on purpose.

MedshotError
├── ConfigError      an unknown name or an invalid option
│   └── UnknownNameError  a name that is not registered
├── ShapeError       tensors of incompatible shapes
├── TaskError        a learner or stage that does not support the task
├── DataError        a file, folder or table that cannot be used as it is
│   └── LeakError    one patient on both sides of a split
├── TrainingError    meta-training cannot continue
└── SaveError        a file that could not be written, or is damaged

A message says what is wrong, with values and file name, then what to do.
"""

import difflib
from collections.abc import Iterable


class MedshotError(ValueError):
    """Base class of all errors raised on purpose."""


class ConfigError(MedshotError):
    """An unknown name, an unknown option, or an invalid value of one."""


class UnknownNameError(ConfigError):
    """A name of a learner, encoder, option, ... that is not registered."""


class ShapeError(MedshotError):
    """Tensors of incompatible shapes."""


class TaskError(MedshotError):
    """The learner or stage does not support the task."""


class DataError(MedshotError):
    """A file, folder or table that cannot be used as it is."""


class LeakError(DataError):
    """A patient is on both sides of a split: scores would be too good."""


class TrainingError(MedshotError):
    """Meta-training cannot continue. Saved checkpoints are kept."""


class SaveError(MedshotError):
    """A file could not be written, or a file that medshot wrote is damaged."""


LISTED = 16  # names, above which only similar ones are listed
NEAR = 6


def unknown(name: str, known: Iterable[str], *, kind: str) -> UnknownNameError:
    """Error for a name that is not in `known`, with the closest one that is."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=NEAR)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if not close or len(known) <= LISTED:
        return UnknownNameError(
            f"There is no {kind} called {name!r}.{hint} Known: {', '.join(known)}."
        )
    others = f" Similar: {', '.join(close[1:])}." if close[1:] else ""
    return UnknownNameError(f"There is no {kind} called {name!r}.{hint}{others}")
