"""Labeled images in memory as 8-bit pixels: classes, numbers, grades, findings, boxes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor, nn

from medshot.core.episode import Episode, Examples
from medshot.core.errors import DataError, ShapeError
from medshot.core.table import Table, Tabular
from medshot.core.task import Card, Task, kind_in
from medshot.data.episodes import EpisodeSampler, ImageEpisodes
from medshot.data.tables.labels import Row
from medshot.data.transforms import ImagePreprocessing, unit
from medshot.tasks import Classification, Detection, MultiLabel, Ordinal, Regression
from medshot.tasks.boxes import NO_BOX

NAMED = 12  # labels in the line that a data set prints as


@dataclass(frozen=True, eq=False)
class Dataset(Tabular):
    """Images, their classes, and whom they are from.

    `groups` numbers the patients; -1 where unknown (such an image is its own group). `split`
    holds the published split of each image, "" where there is none.
    """

    name: str
    x: UInt8[Tensor, "n c h w"]
    y: Shaped[Tensor, "n ..."]  # for classes, their numbers
    labels: tuple[str, ...]
    groups: Int[Tensor, "n"]
    preprocessing: ImagePreprocessing
    hash: str
    split: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()  # the files, where there are any
    contents: tuple[str, ...] = ()  # the beginning of a hash of each file, where there are any
    licence: str = "not stated"
    notes: tuple[str, ...] = field(default=())  # doubts that a report must repeat
    by_class: ClassVar[bool] = True  # an episode has so many images a class; False: so many in all

    def __len__(self) -> int:
        return len(self.y)

    @property
    def has_patients(self) -> bool:
        """Whether any image says whom it is from."""
        return bool((self.groups >= 0).any())

    def counts(self) -> dict[str, int]:
        """Images a class."""
        found = torch.bincount(self.y, minlength=len(self.labels)).tolist()
        return dict(zip(self.labels, found, strict=True))

    def shows(self) -> Bool[Tensor, "n g"]:
        """Which class is on which image, or whatever else a support must not lack."""
        return self.task().shows(self.y)

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The images at `index` in [0, 1], with their labels and patients."""
        x = (
            self.x[index]
            if isinstance(index, slice)
            else self.x.index_select(0, index.to(self.x.device))
        )
        return Examples(unit(x), self.y[index], self.groups[index])

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
        """Only these classes, numbered again from 0 in the order given."""
        kept = torch.cat([(self.y == c).nonzero().flatten() for c in classes])
        new = torch.full((len(self.labels),), -1)
        new[torch.tensor(classes)] = torch.arange(len(classes))
        part = self.subset(kept)
        return replace(part, y=new[part.y], labels=tuple(self.labels[c] for c in classes))

    def numbered_as(self, labels: tuple[str, ...]) -> "Dataset":
        """The same images, their classes numbered as in `labels`, which may hold further ones.

        Raises:
            DataError: a class is not among `labels`.
        """
        if self.labels == labels:
            return self
        if others := [label for label in self.labels if label not in labels]:
            raise DataError(
                f"{self.name} has {', '.join(others)} among its labels {', '.join(self.labels)}, "
                f"and the model knows {', '.join(labels)}. Take images with the labels of the "
                "model, correct a label that is another word for one of them, or adapt a model to "
                "yours."
            )
        return replace(self, y=self._numbered(labels), labels=labels)

    def _numbered(self, labels: tuple[str, ...]) -> Tensor:
        """The targets, where the classes are numbered as in `labels`."""
        return torch.tensor([labels.index(label) for label in self.labels])[self.y]

    def to(self, device: torch.device) -> "Dataset":
        """With the pixels on `device`; labels and patients stay where indices are made."""
        return replace(self, x=self.x.to(device))

    def at(self, channels: int, size: int) -> "Dataset":
        """The same images in another form: from the files where there are any."""
        if (channels, size) == (self.preprocessing.channels, self.preprocessing.size):
            return self
        form = replace(self.preprocessing, channels=channels, size=size)
        if self.rows:
            x = torch.from_numpy(np.stack([form.pixels(row.path) for row in self.rows]))
        else:
            x = resized(self.x, channels, size)
        return replace(self, x=x, preprocessing=form)

    def support(self, encoder: nn.Module) -> tuple[Examples, Card]:
        """All images as a support set for `encoder`, and what must travel with a predictor."""
        channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
        fitted = self.at(channels, size) if channels and size else self
        examples = fitted.examples()
        task = self.task().fitted(examples.y)
        learned = self.about() | {"files": list(self.contents)}
        return examples, Card(task, self.labels, fitted.preprocessing, learned)

    @property
    def kind(self) -> str:
        """The kind of task, for volumes with a `-3d`."""
        return kind_in(self.task(), self.preprocessing)

    def task(self) -> Task:
        """What the targets mean: one label an image."""
        return Classification(len(self.labels))

    def table(self) -> Table:
        """How many images show each class."""
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
        """Episodes of `shot` and `query` images for each of `way` classes, or in all."""
        if not self.by_class:
            return ImageEpisodes(self, shot=shot, query=query, seed=seed)
        return EpisodeSampler(self, way=way, shot=shot, query=query, seed=seed)

    def about(self) -> dict[str, Any]:
        """What a result says of its data."""
        known = self.groups[self.groups >= 0].unique()
        return {
            "name": self.name,
            "images": self.counts(),
            "patients": len(known) if len(known) else "not known",
            "hash": self.hash,
            "licence": self.licence,
        }


@runtime_checkable
class DrawnEpisodes(Protocol):
    """Endless numbered episodes that are drawn from one data set."""

    @property
    def dataset(self) -> Dataset:
        """Where they are drawn from."""
        ...

    def episode(self, i: int) -> Episode:
        """Episode number `i`."""
        ...

    def at(self, channels: int, size: int) -> "DrawnEpisodes":
        """Such episodes of the same data in another form."""
        ...

    def describe(self) -> dict[str, Any]:
        """Everything that, with the data, determines the episodes."""
        ...

    def fingerprint(self, episodes: int) -> str:
        """A hash of the first `episodes` of them."""
        ...


def resized(x: UInt8[Tensor, "n c h w"], channels: int, size: int) -> UInt8[Tensor, "n d s s"]:
    """Pixels in another form, where there are no files to read again."""
    if x.shape[1] == 3 and channels == 1:
        weight = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
        x = (x * weight).sum(1, keepdim=True).round().byte()
    elif x.shape[1] == 1 and channels == 3:
        x = x.expand(-1, 3, -1, -1)
    elif x.shape[1] != channels:
        raise ShapeError(f"Images of {x.shape[1]} channels cannot be given {channels}: 1 or 3.")
    values = F.interpolate(x.float(), (size, size), mode="bilinear", antialias=True)
    return values.round().clamp(0, 255).byte()


@dataclass(frozen=True, eq=False)
class Targeted(Dataset):
    """Images with a target each, of which an episode has so many in all."""

    by_class = False

    def only(self, classes: Sequence[int]) -> "Targeted":
        """Refused: such targets are learned together."""
        raise DataError(f"{self.name} has no classes of its own: split it by patient.")


@dataclass(frozen=True, eq=False)
class Measured(Targeted):
    """A number an image, in the user's unit; `labels` says what it is called."""

    y: Float[Tensor, "n 1"]

    def counts(self) -> dict[str, int]:
        """How many images have the number: all."""
        return {self.labels[0]: len(self)}

    def task(self) -> Task:
        """Regression of one number."""
        return Regression(1)


@dataclass(frozen=True, eq=False)
class Graded(Targeted):
    """A grade an image: its place among `labels`, which are in order."""

    y: Int[Tensor, "n"]

    def task(self) -> Task:
        """So many grades, and one question fewer."""
        return Ordinal(len(self.labels) - 1)


@dataclass(frozen=True, eq=False)
class Found(Targeted):
    """The findings of an image: a one for each of `labels` that is there."""

    y: Int[Tensor, "n k"]

    def counts(self) -> dict[str, int]:
        """On how many images each finding is."""
        return dict(zip(self.labels, self.y.sum(0).tolist(), strict=True))

    def _numbered(self, labels: tuple[str, ...]) -> Tensor:
        y = self.y.new_zeros(len(self), len(labels))
        y[:, [labels.index(label) for label in self.labels]] = self.y
        return y

    def task(self) -> Task:
        """Each finding there or not."""
        return MultiLabel(len(self.labels))


@dataclass(frozen=True, eq=False)
class Boxed(Dataset):
    """Images and the boxes on each, as `medshot.tasks.boxes` has them: right for every form."""

    y: Float[Tensor, "n m 5"]
    by_class = False

    def counts(self) -> dict[str, int]:
        """On how many images each class has a box."""
        return dict(zip(self.labels, self.shows().sum(0).tolist(), strict=True))

    def examples(self, index: Tensor | slice = slice(None)) -> Examples:
        """The images at `index` in [0, 1], with their boxes and patients."""
        found = super().examples(index)
        return replace(found, y=found.y.to(found.x.device))

    def only(self, classes: Sequence[int]) -> "Boxed":
        """Refused: what is left of an image without some of its classes?"""
        raise DataError(f"{self.name} has boxes: it can be split by patient, not by class.")

    def _numbered(self, labels: tuple[str, ...]) -> Tensor:
        new = torch.tensor([*(float(labels.index(label)) for label in self.labels), NO_BOX])
        return torch.cat([self.y[..., :4], new[self.y[..., 4:].long()]], -1)  # the last one is -1

    def task(self) -> Task:
        """Detection of as many classes."""
        return Detection.of(len(self.labels))
