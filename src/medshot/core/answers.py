"""Answers for many files, and where each kind of task writes them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from medshot.core.errors import DataError, unknown
from medshot.core.registry import import_files
from medshot.core.table import Table, Tabular
from medshot.core.task import Card

WRITERS: dict[str, "Writer"] = {}  # by kind of task, filled by medshot.presenters


@runtime_checkable
class Answers(Protocol):
    """Takes the answers for image after image, and counts those that could not be given."""

    unread: int

    def add(self, found: Any) -> None:
        """The answer for one image."""
        ...

    def add_unread(self, path: Path) -> None:
        """For a file that could not be read."""
        ...


@runtime_checkable
class Writer(Protocol):
    """What one kind of task reads of folders, and what it writes of answers."""

    def answers(self, out: Path, card: Card) -> AbstractContextManager[Answers]:
        """Where answers go: `out` is there, whole, once the block has ended well."""
        ...

    def files(self, images: Sequence[Path], card: Card) -> Sequence[Path]:
        """The files that `images`, which may be folders, hold."""
        ...


@runtime_checkable
class Asked(Protocol):
    """A predictor with a card."""

    def predict(self, images: str | Path) -> Any:
        """The answer for one file."""
        ...

    def known_card(self) -> Card:
        """Its card."""
        ...


@dataclass(frozen=True)
class Saved(Tabular):
    """What `save` wrote: the file or folder, how many answers, and which files are not in it."""

    path: Path
    n: int
    unread: dict[Path, str]  # why, by file

    def table(self) -> Table:
        """A line, and the files that could not be read."""
        caption = f"{self.path}: {self.n} of {self.n + len(self.unread)} images predicted"
        rows = tuple((str(path), why) for path, why in self.unread.items())
        return Table(caption, ("not read", "why") if rows else (), rows)


@dataclass(frozen=True, eq=False)
class FolderPredictions(Tabular):
    """The predictions of a predictor for many files, made as they are asked for.

    To iterate over it gives a prediction a file; `save` writes them all, one at a time, so that
    masks of any number of images fit in memory.
    """

    predictor: Asked
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Any]:
        return (self.predictor.predict(path) for path in self.files)

    def save(
        self,
        out: str | Path,
        *,
        show: Callable[[Sequence[Path]], Iterable[Path]] = iter,
        tell: Callable[[DataError], None] = lambda error: None,
    ) -> Saved:
        """Write what `medshot predict` writes: a CSV table or, for masks and images, a folder.

        A file that cannot be read gets an empty row; `tell` is given its error at once. `show`
        may draw a bar as it goes through the files.

        Raises:
            SaveError: `out` exists, or cannot be written.
        """
        card, unread = self.predictor.known_card(), {}
        with writer(card.kind).answers(Path(out), card) as answers:
            for path in show(self.files):
                try:
                    answers.add(self.predictor.predict(path))
                except DataError as error:
                    tell(error)
                    answers.add_unread(path)
                    unread[path] = str(error)
        return Saved(Path(out), len(self.files) - len(unread), unread)

    def table(self) -> Table:
        """A line on the files and on what they are asked."""
        card = self.predictor.known_card()
        return Table(f"{len(self)} images for {card.kind} of {', '.join(card.labels)}")


def writer(kind: str) -> Writer:
    """What writes the answers of a kind of task."""
    if kind not in WRITERS:
        import_files("medshot.presenters")
    if kind not in WRITERS:
        raise unknown(kind, WRITERS, kind="task")
    return WRITERS[kind]


def predictions_for(
    predictor: Asked, images: str | Path | Iterable[str | Path]
) -> FolderPredictions:
    """The predictions for files and folders of files.

    Raises:
        DataError: a path that does not exist, or a folder without images.
    """
    given = [images] if isinstance(images, str | Path) else list(images)
    card = predictor.known_card()
    files = writer(card.kind).files([Path(path) for path in given], card)
    return FolderPredictions(predictor, tuple(files))
