"""Predictions for one image, and for many files with where each task writes them."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped, UInt8, UInt16
from numpy import ndarray

from medshot.core.errors import ConfigError, DataError, unknown
from medshot.core.registry import import_files
from medshot.core.table import Table, Tabular
from medshot.core.task import Card


@dataclass(frozen=True)
class Prediction:
    """A label, and a probability in [0, 1] for every class."""

    path: str
    label: str
    probabilities: dict[str, float]

    @property
    def confidence(self) -> float:
        """Probability of the predicted label."""
        return self.probabilities[self.label]


@dataclass(frozen=True, eq=False)
class ImagePrediction:
    """The enhanced image: upright, with the channels, dtype and range of the input."""

    path: str
    pixels: Shaped[ndarray, "h w c"]


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """A class number for every site of an image (upright) or a volume; `labels` names them.

    Of a volume, axes are those of the file: `mask[i, j, k]` belongs to
    `nibabel.load(path).get_fdata()[i, j, k]`. The numbers are those of the masks that were learned
    from: see `mask_numbers`.
    """

    path: str
    mask: UInt8[ndarray, "*s"] | UInt16[ndarray, "*s"]
    labels: tuple[str, ...]

    def shares(self) -> dict[str, float]:
        """Fraction of all sites that each class has."""
        numbers = mask_numbers(self.labels)
        counts = np.bincount(self.mask.ravel(), minlength=numbers[-1] + 1)[list(numbers)]
        return dict(zip(self.labels, (counts / self.mask.size).tolist(), strict=True))


HIGHEST_NUMBER = 65_535  # of a class in a mask file


def mask_numbers(labels: Sequence[str]) -> tuple[int, ...]:
    """Numbers that the classes `labels` have in mask files; 0 is background.

    Classes whose names are numbers, `background, 1, 2, 4`, have these; others have their index.
    """
    named = [int(label) for label in labels[1:] if label.isascii() and label.isdecimal()]
    rising = all(a < b for a, b in itertools.pairwise([0, *named]))
    if len(named) == len(labels) - 1 and rising and [0, *named][-1] <= HIGHEST_NUMBER:
        return (0, *named)
    return tuple(range(len(labels)))


@dataclass(frozen=True)
class NumberPrediction:
    """Named numbers, in the units of the targets."""

    path: str
    values: dict[str, float]


@dataclass(frozen=True)
class FindingsPrediction:
    """Labels with a probability above one half, and the probabilities of all labels."""

    path: str
    labels: tuple[str, ...]
    probabilities: dict[str, float]


@dataclass(frozen=True, eq=False)
class BoxPrediction:
    """Boxes `xmin ymin xmax ymax` in pixels of the upright image, by decreasing score."""

    path: str
    boxes: Float[ndarray, "m 4"]
    labels: tuple[str, ...]  # class of each box
    scores: Float[ndarray, "m"]  # in [0, 1]
    size: tuple[int, int]  # width and height of the image


@dataclass(frozen=True, eq=False)
class PointPrediction:
    """Centers `x y` of objects in pixels of the upright image, by decreasing score."""

    path: str
    points: Float[ndarray, "m 2"]
    labels: tuple[str, ...]  # class of each point
    scores: Float[ndarray, "m"]  # in [0, 1]
    size: tuple[int, int]  # width and height of the image


WRITERS: dict[str, "Writer"] = {}  # by task, filled by medshot.presenters


@runtime_checkable
class Answers(Protocol):
    """Sink for predictions of one image after another; counts unreadable files."""

    unread: int

    def add(self, found: Any) -> None:
        """Add the prediction for one image."""
        ...

    def add_unread(self, path: Path) -> None:
        """Record a file that could not be read."""
        ...


@runtime_checkable
class Editable(Protocol):
    """Sink whose masks can be written as LabelMe files too."""

    labelme: bool


@runtime_checkable
class Writer(Protocol):
    """Finds the input files of a task and writes its predictions."""

    out: ClassVar[str]  # default name of the output file or folder

    def answers(self, out: Path, card: Card) -> AbstractContextManager[Answers]:
        """Open a sink; `out` appears atomically when the block succeeds."""
        ...

    def files(self, images: Sequence[Path], card: Card) -> Sequence[Path]:
        """Input files among `images`, which may be folders."""
        ...


@runtime_checkable
class FilePredictor(Protocol):
    """A predictor of files, with a card."""

    def predict(self, images: str | Path) -> Any:
        """Prediction for one file."""
        ...

    def known_card(self) -> Card:
        """Its card."""
        ...


@dataclass(frozen=True)
class Saved(Tabular):
    """Result of `save`: the file or folder, the number of images, and unreadable files."""

    path: Path
    n: int
    unread: dict[Path, str]  # error message by file

    def table(self) -> Table:
        """One line, and the files that could not be read."""
        caption = f"{self.path}: {self.n} of {self.n + len(self.unread)} images predicted"
        rows = tuple((str(path), why) for path, why in self.unread.items())
        return Table(caption, ("not read", "why") if rows else (), rows)


@dataclass(frozen=True, eq=False)
class FolderPredictions(Tabular):
    """Lazy predictions of a predictor for many files.

    Iteration yields one prediction per file. `save` writes them one at a time, so that masks of
    any number of images fit in memory.
    """

    predictor: FilePredictor
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
        labelme: bool = False,
    ) -> Saved:
        """Write the output of `medshot predict`: a CSV table or, for masks and images, a folder.

        A file that cannot be read gets an empty row; `tell` is called with its error. `show` may
        wrap the files in a progress bar. With `labelme`, masks are written as LabelMe files too, to
        be corrected there: `medshot.adapt([folder, out / "labelme"])` learns from those saved.

        Raises:
            ConfigError: `labelme`, and the predictor is not for masks of images.
            SaveError: `out` exists, or cannot be written.
        """
        card, unread = self.predictor.known_card(), {}
        with writer(card.kind).answers(Path(out), card) as answers:
            if labelme:
                if not isinstance(answers, Editable):
                    raise ConfigError("LabelMe files are of masks: leave --labelme out.")
                answers.labelme = True
            for path in show(self.files):
                try:
                    answers.add(self.predictor.predict(path))
                except DataError as error:
                    tell(error)
                    answers.add_unread(path)
                    unread[path] = str(error)
        return Saved(Path(out), len(self.files) - len(unread), unread)

    def table(self) -> Table:
        """One line with the number of files and the task."""
        card = self.predictor.known_card()
        return Table(f"{len(self)} images for {card.kind} of {', '.join(card.labels)}")


def writer(kind: str) -> Writer:
    """Writer of a task, by its name.

    Raises:
        ConfigError: an unknown task.
    """
    if kind not in WRITERS:
        import_files("medshot.presenters")
    if kind not in WRITERS:
        raise unknown(kind, WRITERS, kind="task")
    return WRITERS[kind]


def predictions_for(
    predictor: FilePredictor, images: str | Path | Iterable[str | Path]
) -> FolderPredictions:
    """Predictions for files and folders of files.

    Raises:
        DataError: a path that does not exist, or a folder without images.
    """
    given = [images] if isinstance(images, str | Path) else list(images)
    card = predictor.known_card()
    files = writer(card.kind).files([Path(path) for path in given], card)
    return FolderPredictions(predictor, tuple(files))
