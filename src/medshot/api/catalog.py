"""What there is to choose from: `list_learners`, `list_encoders`."""

from collections.abc import Iterator
from dataclasses import dataclass

from medshot.api.resolve import options_text
from medshot.core.errors import unknown
from medshot.core.registry import PARTS, import_files, names, options_of
from medshot.core.table import Table, Tabular
from medshot.core.task import TASKS, kinds_among
from medshot.learners import registry


@dataclass(frozen=True)
class Entry:
    """A learner or an encoder, by the name that every function and command takes."""

    name: str
    tasks: tuple[str, ...]  # kinds of task; of an encoder what it gives: features of image or pixel
    source: str  # author, year, identifier
    options: str  # with their defaults, as they are typed
    file: str = ""
    remarks: tuple[str, ...] = ()  # baseline, transductive


@dataclass(frozen=True)
class Catalog(Tabular):
    """Entries by name; `missing` are files whose package is not installed, and that package."""

    entries: tuple[Entry, ...]
    missing: dict[str, str]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return any(entry.name == name for entry in self.entries)

    def __getitem__(self, name: str) -> Entry:
        """The entry called `name`."""
        found = {entry.name: entry for entry in self.entries}
        if name not in found:
            raise unknown(name, found, kind="entry")
        return found[name]

    def table(self) -> Table:
        """A row an entry."""
        rows = ((each.name, ", ".join(each.tasks), each.source) for each in self.entries)
        return Table("", ("name", "for", "source"), tuple(rows))


def list_learners(task: str | None = None) -> Catalog:
    """The learners, all of them or those for one kind of task: `list_learners("segmentation")`.

    Raises:
        ConfigError: there is no such kind of task.
    """
    found = registry.learners()
    if task is not None and task not in TASKS:
        raise unknown(task, TASKS, kind="task")
    entries = []
    for name, cls in found.items():
        kinds = kinds_among(cls.supports)
        is_so = {"baseline": not cls.trainable, "transductive": cls.transductive}
        remarks = tuple(remark for remark, so in is_so.items() if so)
        entry = Entry(name, kinds, cls.source, options_text(cls), registry.file_of(cls), remarks)
        entries += [entry] if task is None or task in kinds else []
    return Catalog(
        tuple(entries), {file: str(error.name) for file, error in registry.missing().items()}
    )


def list_encoders() -> Catalog:
    """The encoders that come with medshot, with the options that they take."""
    absent = import_files("medshot.nn")
    entries = []
    for name in names("encoder"):
        cls = PARTS[f"encoder/{name}"]
        gives = "each pixel" if getattr(cls, "keeps_grid", False) is True else "whole images"
        options = " ".join(f"{o}={p.default}" for o, p in options_of(cls).items())
        entries.append(Entry(name, (gives,), str(getattr(cls, "source", "")), options))
    return Catalog(tuple(entries), {file: str(error.name) for file, error in absent.items()})
