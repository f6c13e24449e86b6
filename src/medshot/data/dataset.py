"""Dataset: images with targets in memory; one class for all tasks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped, UInt8
from torch import Tensor, nn

from medshot.core import (
    Card,
    DataError,
    Episode,
    Examples,
    Form,
    ShapeError,
    Table,
    Tabular,
    Task,
    kind_in,
)
from medshot.data.episodes import EpisodeSampler, ImageEpisodes
from medshot.data.tables.cells import spelled_as
from medshot.data.tables.labels import Row
from medshot.data.transforms import unit
from medshot.tasks import Classification

Reader = Callable[[Sequence[Row], Any], tuple[Tensor, Tensor]]  # rows and form: images, targets
NAMED = 12  # labels in the string form of a data set at most


@dataclass(frozen=True, eq=False)
class Dataset(Tabular):
    """Images with targets, patients and metadata.

    The `task` defines what the targets `y` mean: how they are counted, renumbered, resized and
    sampled for episodes. Its number of outputs is set from the data, so that `Segmentation(0)` is
    enough. `groups` numbers the patients; -1 where unknown (such an image is its own group).
    `split` is the published split of each image, "" where there is none.
    """

    name: str
    x: Shaped[Tensor, "n ..."]  # 8 bits, or floats as encoders take them
    y: Shaped[Tensor, "n ..."]  # class numbers, or as the task defines
    labels: tuple[str, ...]
    groups: Int[Tensor, "n"]
    preprocessing: Form
    hash: str
    split: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()  # the files, where there are any
    contents: tuple[str, ...] = ()  # a truncated hash of each file, where there are any
    licence: str = "not stated"
    notes: tuple[str, ...] = field(default=())  # warnings that a report repeats
    task: Task = field(default=Classification(0))
    read: Reader | None = None  # reads files in another form; None: only images are read again

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", self.task.sized(len(self.labels), self.y))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def has_patients(self) -> bool:
        """Whether the patient of any image is known."""
        return bool((self.groups >= 0).any())

    def counts(self) -> dict[str, int]:
        """Number of images with each label."""
        return dict(zip(self.labels, self.task.counts(self.y), strict=True))

    def present_classes(self) -> Bool[Tensor, "n g"]:
        """Which classes (or other groups that a support needs) each image contains."""
        return self.task.present_classes(self.y)

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The images at `index` in [0, 1], with their targets and patients."""
        x = (
            self.x[index]
            if isinstance(index, slice)
            else self.x.index_select(0, index.to(self.x.device))
        )
        y = self.task.unpack(self.y[index]).to(x.device)
        return Examples(unit(x) if x.dtype == torch.uint8 else x, y, self.groups[index])

    def subset(self, index: Tensor) -> "Dataset":
        """Only the images at `index` (positions); classes keep their numbers."""
        chosen = [int(i) for i in index]
        return replace(
            self,
            x=self.x[index],
            y=self.y[index],
            groups=self.groups[index],
            split=tuple(self.split[i] for i in chosen) if self.split else (),
            rows=tuple(self.rows[i] for i in chosen) if self.rows else (),
            contents=tuple(self.contents[i] for i in chosen) if self.contents else (),
        )

    def only(self, classes: Sequence[int]) -> "Dataset":
        """Only these classes, renumbered from 0 in the given order.

        Raises:
            DataError: the targets are not image-level classes.
        """
        if not self.task.by_class:
            raise DataError(
                f"{self.name} is for {self.kind}, which has no image-level classes: split it by "
                "patient, not by class."
            )
        kept = torch.cat([(self.y == c).nonzero().flatten() for c in classes])
        new = torch.full((len(self.labels),), -1)
        new[torch.tensor(classes)] = torch.arange(len(classes))
        part = self.subset(kept)
        return replace(part, y=new[part.y], labels=tuple(self.labels[c] for c in classes))

    def numbered_as(self, labels: tuple[str, ...]) -> "Dataset":
        """The same images with classes numbered as in `labels`, which may hold further ones.

        A class that is not among them is one with the same `loose_key`, if there is only one.

        Raises:
            DataError: a class is not among `labels`.
        """
        if self.labels == labels:
            return self
        with self._named():
            known = tuple(spelled_as(labels, self.labels))
            y = self.task.renumber(self.y, known, labels)
        read = self.read and partial(_renumbered, self.read, self.task, known, labels)
        return replace(self, y=y, labels=labels, read=read)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Prefix errors of the task and the preprocessing with the name of the data set."""
        try:
            yield
        except (DataError, ShapeError) as error:
            raise type(error)(f"{self.name}: {error}") from error

    def to(self, device: torch.device) -> "Dataset":
        """With the images on `device`; targets and patients stay on the CPU, as indices do."""
        return replace(self, x=self.x.to(device))

    def at(self, channels: int | None, size: int | None) -> "Dataset":
        """The same images with other channels and size, read from the files where there are any.

        Raises:
            DataError, ShapeError: an encoder of this form does not take such images.
        """
        with self._named():
            form = self.preprocessing.at(channels, size)
            if form == self.preprocessing:
                return self
            if not self.rows:
                x, y = form.refit(self.x), self.task.resize(self.y, form)
                return replace(self, x=x, y=y, preprocessing=form)
        if self.read is not None:
            x, y = self.read(self.rows, form)
        else:
            x, y = pixels(self.rows, form), self.y
        return replace(self, x=x, y=y, preprocessing=form)

    def support(self, encoder: nn.Module) -> tuple[Examples, Card]:
        """All images as a support set for `encoder`, and the card of a predictor."""
        fitted = self.at(getattr(encoder, "channels", None), getattr(encoder, "size", None))
        examples = fitted.examples()
        task = fitted.task.fitted(examples.y)
        learned = self.about() | {"files": list(self.contents)}
        card = Card(task, self.labels, fitted.preprocessing, learned)
        if getattr(encoder, "whole", False):
            return examples, card
        return fitted.preprocessing.support(examples), card

    @property
    def kind(self) -> str:
        """Task name with its modality suffix, e.g. `segmentation-3d`."""
        return kind_in(self.task, self.preprocessing)

    def table(self) -> Table:
        """Number of images with each label."""
        rows = tuple((label, str(n)) for label, n in self.counts().items())
        return Table(str(self), (self.kind, "images"), rows)

    def __str__(self) -> str:
        known = len(self.groups[self.groups >= 0].unique())
        patients = f" of {known} patients" if known else ""
        counts = [f"{label} {n}" for label, n in self.counts().items()]
        more = ", ..." if len(counts) > NAMED else ""
        form = " x ".join(map(str, self.x.shape[1:]))
        labels = f"{', '.join(counts[:NAMED])}{more}"
        return f"{self.name}: {len(self)} images ({form}){patients}, {self.kind}: {labels}"

    def episodes(self, *, way: int, shot: int, query: int, seed: int = 0) -> "DrawnEpisodes":
        """Sampler of episodes: `shot` and `query` images for each of `way` classes, or in all."""
        if not self.task.by_class:
            return ImageEpisodes(self, shot=shot, query=query, seed=seed)
        return EpisodeSampler(self, way=way, shot=shot, query=query, seed=seed)

    def about(self) -> dict[str, Any]:
        """Metadata of the data set, for a record."""
        known = self.groups[self.groups >= 0].unique()
        return {
            "name": self.name,
            "images": self.counts(),
            "patients": len(known) if len(known) else "not known",
            "hash": self.hash,
            "licence": self.licence,
        }


def _renumbered(
    read: Reader,
    task: Task,
    labels: tuple[str, ...],
    wanted: tuple[str, ...],
    rows: Sequence[Row],
    form: Any,
) -> tuple[Tensor, Tensor]:
    """What `read` reads, with the class numbers of `wanted`."""
    x, y = read(rows, form)
    return x, task.renumber(y, labels, wanted)


def pixels(rows: Sequence[Row], form: Any) -> UInt8[Tensor, "n c s s"]:
    """Read the images of `rows` as squares."""
    return torch.from_numpy(np.stack([form.pixels(row.path) for row in rows]))


@runtime_checkable
class DrawnEpisodes(Protocol):
    """Episode source that draws from one data set."""

    @property
    def dataset(self) -> Dataset:
        """The data set."""
        ...

    def episode(self, i: int) -> Episode:
        """Episode number `i`."""
        ...

    def at(self, channels: int, size: int) -> "DrawnEpisodes":
        """A sampler of the same data with other channels and size."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything that, with the data, determines the episodes."""
        ...

    def fingerprint(self, episodes: int) -> str:
        """Hash of the first `episodes` episodes."""
        ...
