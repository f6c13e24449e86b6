"""Everything that is wrong or doubtful in a folder: `medshot data check`.

`load` stops at the first error; this goes on, and says too what makes scores better than true.
"""

from pathlib import Path

from medshot.data.checks.issue import Finding, by_weight
from medshot.data.readers.registry import folder_kind, kind_of


def check(folder: str | Path, task: str | None = None) -> list[Finding]:
    """What to know of `folder`, errors first. Near-duplicates are not looked for.

    Of labels and masks every row is looked at; of other kinds, it is what `load` finds.
    """
    folder = Path(folder)
    return by_weight(folder_kind(kind_of(folder, task)).findings(folder))
