"""All problems of a folder: `medshot data check`.

`load` stops at the first error; this continues, and also reports what inflates scores.
"""

from pathlib import Path

from medshot.data.checks.issue import Finding, by_weight
from medshot.data.readers.registry import folder_kind, kind_of


def check(folder: str | Path, task: str | None = None) -> list[Finding]:
    """Problems of `folder`, errors first. Near-duplicates are not searched for.

    For labels and masks every row is checked; for other tasks, it reports what `load` finds.
    """
    folder = Path(folder)
    return by_weight(folder_kind(kind_of(folder, task)).findings(folder))
