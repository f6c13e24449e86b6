"""Episode samplers: stratified by class, or not (masks, boxes, numbers).

Episode i is a pure function of (seed, i): the same on every machine and in any order, without
state to save but the next i. Sampling works on index arrays only; images are gathered once, from
the tensor that holds them all.
"""

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray
from torch import Tensor

from medshot.core import ConfigError, DataError, Episode, Examples, Task
from medshot.tasks import Classification

RETRIES = 20


@runtime_checkable
class EpisodeSource(Protocol):
    """Endless numbered episodes."""

    def episode(self, i: int) -> Episode:
        """Episode number `i`."""
        ...

    def describe(self) -> dict[str, Any]:
        """Description of the source, for a record."""
        ...


@runtime_checkable
class LabeledData(Protocol):
    """Interface of a data set that samplers need (`medshot.Dataset` has it)."""

    @property
    def name(self) -> str:
        """Name of the data set."""
        ...

    @property
    def hash(self) -> str:
        """Hash of its files."""
        ...

    @property
    def y(self) -> Shaped[Tensor, "n ..."]:
        """Targets."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        ...

    @property
    def groups(self) -> Int[Tensor, "n"]:
        """Patients by number, -1 where unknown."""
        ...

    @property
    def preprocessing(self) -> Any:
        """How files become images, with their `size`."""
        ...

    @property
    def has_patients(self) -> bool:
        """Whether patients are known."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def counts(self) -> dict[str, int]:
        """Images a class."""
        ...

    def present_classes(self) -> Bool[Tensor, "n k"]:
        """Which classes each image shows."""
        ...

    def examples(self, index: Int[Tensor, "m"]) -> Examples:
        """Images at `index` with their targets."""
        ...

    @property
    def task(self) -> Task:
        """What the targets mean."""
        ...

    def at(self, channels: int, size: int) -> Any:
        """The same images in another form."""
        ...


Data = TypeVar("Data", bound=LabeledData)


@dataclass(frozen=True)
class Draw:
    """Indices of the images of an episode, and their labels 0 ... way-1."""

    support: Int[ndarray, "s"]
    support_y: Int[ndarray, "s"]
    query: Int[ndarray, "q"]
    query_y: Int[ndarray, "q"]
    turns: Int[ndarray, "way"]  # quarter turns of each class


class EpisodeSampler(Generic[Data]):
    """`way`-way episodes with `shot` support and `query` query images a class.

    `shot` may be a range (low, high), sampled for each class; `query=None` takes all remaining
    images as queries. Where patients are known, none is in both support and query. `rotate`
    rotates each class of an episode by a random multiple of 90 degrees (Omniglot).

    Raises:
        DataError: too few classes, or a class with too few images, named.
    """

    def __init__(
        self,
        dataset: Data,
        *,
        way: int,
        shot: int | tuple[int, int],
        query: int | None,
        seed: int = 0,
        rotate: bool = False,
    ) -> None:
        self.dataset, self.way, self.query = dataset, way, query
        self.seed, self.rotate = seed, rotate
        self.low, self.high = (shot, shot) if isinstance(shot, int) else shot
        self._check()
        self._members, self._sizes = _table(dataset.y.numpy(), len(dataset.labels))
        self._groups = dataset.groups.numpy() if dataset.has_patients else None

    def draw(self, i: int) -> Draw:
        """Indices and labels of episode `i`."""
        rng = np.random.default_rng([self.seed, i])
        for _ in range(RETRIES):
            classes = rng.choice(len(self._members), self.way, replace=False)
            varied = self.low < self.high
            shots = rng.integers(self.low, self.high + 1, self.way) if varied else None
            found = self._draw_images(rng, classes, shots)
            if found is not None:
                return Draw(*found, rng.integers(0, 4 if self.rotate else 1, self.way))
        raise DataError(
            f"{self.dataset.name}: with no patient in both support and query, {self._wanted()} "
            "cannot be drawn from every class. Ask for fewer, or add patients."
        )

    def episode(self, i: int) -> Episode:
        """Episode `i`, with its images."""
        drawn = self.draw(i)
        return Episode(
            Classification(self.way),
            self._gather(drawn.support, drawn.support_y, drawn.turns),
            self._gather(drawn.query, drawn.query_y, drawn.turns),
        )

    def at(self, channels: int, size: int) -> "EpisodeSampler[Data]":
        """The same episodes with images of other channels and size."""
        other = copy.copy(self)
        other.dataset = self.dataset.at(channels, size)
        return other

    def describe(self) -> dict[str, Any]:
        """Everything that, with the data, determines the episodes."""
        return {
            "data": self.dataset.name,
            "hash": self.dataset.hash,
            "way": self.way,
            "shot": self.low if self.low == self.high else [self.low, self.high],
            "query": self.query,
            "seed": self.seed,
            "rotate": self.rotate,
        }

    def fingerprint(self, episodes: int) -> str:
        """A hash of the first `episodes` draws: equal lists, equal hash."""
        digest = hashlib.sha256(self.dataset.hash.encode())
        for i in range(episodes):
            drawn = self.draw(i)
            for part in (drawn.support, drawn.query, drawn.turns):
                digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def _draw_images(
        self, rng: np.random.Generator, classes: ndarray, shots: ndarray | None
    ) -> tuple[ndarray, ndarray, ndarray, ndarray] | None:
        width = int(self._sizes[classes].max())
        table = self._members[classes, :width]
        keys = rng.random(table.shape)
        keys[table < 0] = 2.0  # padding goes last
        order = np.take_along_axis(table, keys.argsort(1), 1)
        shots = np.full(self.way, self.low) if shots is None else shots
        position = np.arange(width)
        in_support = position < shots[:, None]
        left = (order >= 0) & ~in_support
        if self._groups is not None:
            known = self._groups[order[in_support]]
            left &= ~np.isin(self._groups[order], known[known >= 0])
        in_query = left if self.query is None else left & (left.cumsum(1) <= self.query)
        if (in_query.sum(1) < (self.query or 1)).any():
            return None
        rows = np.broadcast_to(np.arange(self.way)[:, None], order.shape)
        return order[in_support], rows[in_support], order[in_query], rows[in_query]

    def _gather(self, index: ndarray, y: ndarray, turns: ndarray) -> Examples:
        found = self.dataset.examples(torch.from_numpy(index))
        x, labels = found.x, torch.from_numpy(y)
        if turns.any():
            x = x.clone()
            for k in (1, 2, 3):
                turned = torch.from_numpy(turns[y] == k)
                x[turned] = x[turned].rot90(k, (-2, -1))
        return Examples(x, labels.to(x.device), found.groups)

    def _check(self) -> None:
        counts = self.dataset.counts()
        asked = 1 if self.query is None else self.query
        if not self.dataset.task.by_class:
            raise DataError(f"{self.dataset.name} has no image-level labels: take `ImageEpisodes`.")
        if self.way < 2 or self.low < 1 or self.high < self.low or asked < 1:
            raise ConfigError("way must be at least 2, shot and query at least 1.")
        if len(counts) < self.way:
            fix = f"Use way={len(counts)}, or other data." if len(counts) > 1 else "Add classes."
            raise DataError(
                f"{self.dataset.name} has {len(counts)} class(es), too few for {self.way}-way "
                f"episodes. {fix}"
            )
        needed = self.high + asked
        short = {label: n for label, n in counts.items() if n < needed}
        if short:
            listed = ", ".join(f"{label!r} has {n}" for label, n in list(short.items())[:5])
            raise DataError(
                f"{self.dataset.name}: {self._wanted()} needs {needed} images of every class, but "
                f"{listed}. Lower shot or query, add images, or leave these classes out."
            )

    def _wanted(self) -> str:
        query = "at least 1" if self.query is None else str(self.query)
        return f"{self.high} support and {query} query image(s) a class"


class Mixture:
    """Episodes from several sources; the source of each episode is random."""

    def __init__(self, sources: Sequence[EpisodeSource], *, seed: int = 0) -> None:
        self.sources, self.seed = tuple(sources), seed

    def episode(self, i: int) -> Episode:
        """Episode `i`; its source is a function of (seed, i) too."""
        which = np.random.default_rng([self.seed, i, 1]).integers(len(self.sources))
        return self.sources[which].episode(i)

    def describe(self) -> dict[str, Any]:
        """Descriptions of all sources."""
        return {"seed": self.seed, "mixture": [source.describe() for source in self.sources]}


def _table(y: Int[ndarray, "n"], k: int) -> tuple[Int[ndarray, "k most"], Int[ndarray, "k"]]:
    """Indices by class, padded with -1, and the count of each class."""
    sizes = np.bincount(y, minlength=k)
    table = np.full((k, sizes.max()), -1, dtype=np.int64)
    for label, positions in enumerate(np.split(np.argsort(y, kind="stable"), sizes.cumsum()[:-1])):
        table[label, : len(positions)] = positions
    return table, sizes


REDRAWS = 50


class ImageEpisodes(Generic[Data]):
    """Episodes with `shot` support and `query` query images in all, no patient in both.

    Every class is on some support image; with masks, that may depend on the size of the images.
    `query=None` takes all remaining images as queries.

    Raises:
        DataError: a class is on no image, or too few images or patients.
    """

    def __init__(self, dataset: Data, *, shot: int, query: int | None = 1, seed: int = 0) -> None:
        if shot < 1 or (query is not None and query < 1):
            raise ConfigError("shot and query must be at least 1.")
        self.dataset, self.shot, self.query, self.seed = dataset, shot, query, seed
        self._groups = own_groups(dataset.groups).numpy()
        self._shows = dataset.present_classes().numpy()
        if absent := [label for label, n in dataset.counts().items() if n == 0]:
            raise DataError(
                f"{dataset.name}: class(es) {', '.join(absent)} are on no image, or too small "
                "at this size. Load it larger, or leave these classes out."
            )
        self.draw(0)  # raises early if episodes cannot be drawn

    def draw(self, i: int) -> tuple[Int[ndarray, "s"], Int[ndarray, "q"]]:
        """Indices of the support and of the query images of episode `i`."""
        rng = np.random.default_rng([self.seed, i])
        for _ in range(REDRAWS):
            order = rng.permutation(len(self.dataset))
            support = self._support(order)
            left = order[~np.isin(self._groups[order], self._groups[support])]
            asked = left if self.query is None else left[: self.query]
            if len(support) == self.shot and len(asked) >= (self.query or 1):
                return support, asked
        raise DataError(
            f"{self.dataset.name}: {self.shot} support image(s) that show every class, and "
            f"{self.query or 'any'} query image(s) of other patients, could not be drawn. Take "
            "more support, fewer queries, or leave out rare classes."
        )

    def _support(self, order: Int[ndarray, "n"]) -> Int[ndarray, "s"]:
        """Greedy cover: for each class not shown yet, the rarest first, an image that shows it."""
        chosen: list[int] = []
        for c in self._shows.sum(0).argsort(kind="stable"):
            if not self._shows[chosen, c].any():
                chosen.append(int(order[self._shows[order, c]][0]))
        others = [int(i) for i in order if i not in chosen]
        return np.array(chosen + others[: max(0, self.shot - len(chosen))])

    def episode(self, i: int) -> Episode:
        """Episode `i`, with its images."""
        support, query = (self.dataset.examples(torch.from_numpy(part)) for part in self.draw(i))
        return Episode(self.dataset.task.fitted(support.y), support, query)

    def at(self, channels: int, size: int) -> "ImageEpisodes[Data]":
        """A sampler of the same data with other channels and size."""
        fitted = self.dataset.at(channels, size)
        return ImageEpisodes(fitted, shot=self.shot, query=self.query, seed=self.seed)

    def describe(self) -> dict[str, Any]:
        """Everything that, with the data, determines the episodes."""
        size = self.dataset.preprocessing.size
        about = {"data": self.dataset.name, "hash": self.dataset.hash, "unit": "image"}
        return about | {"size": size, "shot": self.shot, "query": self.query, "seed": self.seed}

    def fingerprint(self, episodes: int) -> str:
        """A hash of the first `episodes` draws: equal lists, equal hash."""
        digest = hashlib.sha256(self.dataset.hash.encode())
        for i in range(episodes):
            for part in self.draw(i):
                digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def own_groups(groups: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """Give each example of an unknown group (-1) its own group."""
    own = groups.clone()
    unknown = own < 0
    own[unknown] = groups.max().clamp(min=0) + 1 + torch.arange(int(unknown.sum()))
    return own
