"""Registry of dataset readers: the task of a folder, how it is recognized and how it is read.

    @reads("segmentation", where=has_masks, check=check_pairs)
    def masked(folder: Path, channels: int | None, size: int | None) -> Dataset: ...

A new reader is one file in this folder. The name of a reader of volumes ends with `-3d`; `--task`
without the suffix finds it too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medshot.core import DataError, Registry
from medshot.data.checks.issue import Issue, finding_of
from medshot.data.dataset import Dataset
from medshot.data.layouts.content import LABEL
from medshot.data.layouts.recognize import content_of

Reader = Callable[[Path, int | None, int | None], Dataset]
Check = Callable[[Path], list[Issue]]
FOLDERS: Registry["FolderKind"] = Registry(
    "task that a folder can be loaded for", "medshot.data.readers"
)
USUAL = "classification"  # where no other layout is recognized
FINE = "It is learned from all the same."


@dataclass(frozen=True)
class FolderKind:
    """Reader of a folder (channels, size; None for the default) and the test that recognizes one.

    `check` finds errors and warnings in a folder; without it, they are found by reading. `target`
    is what is read of the layouts of other tools.
    """

    read: Reader
    recognizes: Callable[[Path], bool]
    check: Check | None = None
    target: str = LABEL

    def findings(self, folder: Path) -> list[Issue]:
        """Errors and warnings of such a folder."""
        if self.check:
            return self.check(folder)
        try:
            found = self.read(folder, None, None)
        except DataError as error:
            return [finding_of(error, folder)]
        content = content_of(folder)
        said = content.notes_of(self.target) if content else ()
        notes = [note for note in found.notes if note not in said]
        issues = content.issues_of(self.target) if content else []
        return [*issues, *(Issue("warning", folder, None, n.rstrip("."), FINE) for n in notes)]


def reads(
    kind: str,
    *,
    where: Callable[[Path], bool],
    check: Check | None = None,
    target: str = LABEL,
) -> Callable[[Reader], Reader]:
    """Register a function as the reader for `kind`, used by default where `where` is true."""

    def add(read: Reader) -> Reader:
        FOLDERS.add(kind, FolderKind(read, where, check, target), module=read.__module__)
        return read

    return add


def folder_kind(kind: str) -> FolderKind:
    """The registered reader for `kind`. Raises `ConfigError` where there is none."""
    return FOLDERS.find(kind)


def reader_of(kind: str) -> Reader:
    """The function that reads folders for `kind`."""
    return folder_kind(kind).read


def kind_of(folder: Path, task: str | None = None) -> str:
    """Task name of a folder: `task` if given, else as recognized from its tables.

    Raises:
        ConfigError: there is no reader for `task`.
        DataError: the folder fits several tasks.
    """
    if task:
        folder_kind(task)
        volumes = FOLDERS.get(f"{task}-3d")
        return f"{task}-3d" if volumes and volumes.recognizes(folder) else task
    found = sorted(kind for kind, known in FOLDERS.all().items() if known.recognizes(folder))
    if len(found) > 1:
        raise DataError(
            f"{folder} could be for {' or '.join(found)}. Say which: --task {found[0]} (in Python "
            f"task={found[0]!r})."
        )
    return found[0] if found else USUAL
