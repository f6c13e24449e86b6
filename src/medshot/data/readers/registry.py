"""Which kinds of targets a folder can hold, and how each is told from the others and read.

    @reads("segmentation", where=has_masks, check=check_pairs)
    def masked(folder: Path, channels: int | None, size: int | None) -> Dataset: ...

A new kind is one file in this folder. For volumes, a kind ends with `-3d`, and `--task` without it
finds it all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medshot.core.errors import DataError
from medshot.core.registry import Registry
from medshot.data.checks.issue import Finding, finding_of
from medshot.data.dataset import Dataset

Reader = Callable[[Path, int | None, int | None], Dataset]
Check = Callable[[Path], list[Finding]]
FOLDERS: Registry["FolderKind"] = Registry(
    "task that a folder can be loaded for", "medshot.data.readers"
)
USUAL = "classification"  # where no other kind is recognised
FINE = "It is learned from all the same."


@dataclass(frozen=True)
class FolderKind:
    """Reads a folder in a form (channels, size; None: as is usual), and knows such a folder.

    What is wrong or doubtful in one is found by `check`: where there is none, by reading it.
    """

    read: Reader
    recognizes: Callable[[Path], bool]
    check: Check | None = None

    def findings(self, folder: Path) -> list[Finding]:
        """What is wrong or doubtful in such a folder."""
        if self.check:
            return self.check(folder)
        try:
            found = self.read(folder, None, None)
        except DataError as error:
            return [finding_of(error, folder)]
        return [Finding("note", folder, None, note.rstrip("."), FINE) for note in found.notes]


def reads(
    kind: str, *, where: Callable[[Path], bool], check: Check | None = None
) -> Callable[[Reader], Reader]:
    """Make a function the reader of folders for tasks of `kind`, found by itself `where` true."""

    def add(read: Reader) -> Reader:
        FOLDERS.add(kind, FolderKind(read, where, check), module=read.__module__)
        return read

    return add


def folder_kind(kind: str) -> FolderKind:
    """How folders for tasks of `kind` are met. Raises `ConfigError` where none can be loaded."""
    return FOLDERS.find(kind)


def reader_of(kind: str) -> Reader:
    """How folders for tasks of `kind` are read."""
    return folder_kind(kind).read


def kind_of(folder: Path, task: str | None = None) -> str:
    """The kind of task that was asked for, or else what the folder's tables say.

    Raises:
        ConfigError: no folder can be loaded for `task`.
        DataError: the folder could be of several kinds.
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
