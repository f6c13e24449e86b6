"""Episodes of so many images in all, by index: for masks and all that is no label."""

import hashlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, DataError
from medshot.data.dataset import Dataset
from medshot.data.split import own_groups

RETRIES = 50


class ImageEpisodes:
    """`shot` support and `query` query images, no patient in both.

    Every class is seen on some support image; with masks that may depend on the size of the images.
    `query=None` asks about all that are left.

    Raises:
        DataError: a class is on no image, or too few images or patients.
    """

    def __init__(
        self, dataset: Dataset, *, shot: int, query: int | None = 1, seed: int = 0
    ) -> None:
        if shot < 1 or (query is not None and query < 1):
            raise ConfigError("shot and query are at least 1.")
        self.dataset, self.shot, self.query, self.seed = dataset, shot, query, seed
        self._groups = own_groups(dataset.groups).numpy()
        self._shows = dataset.shows().numpy()
        if absent := [label for label, n in dataset.counts().items() if n == 0]:
            raise DataError(
                f"{dataset.name}: class(es) {', '.join(absent)} are on no image, or too small "
                "at this size. Load it larger, or leave these classes out."
            )
        self.draw(0)  # what cannot be drawn is said before any work

    def draw(self, i: int) -> tuple[Int[ndarray, "s"], Int[ndarray, "q"]]:
        """The positions of the support and of the query images of episode `i`."""
        rng = np.random.default_rng([self.seed, i])
        for _ in range(RETRIES):
            order = rng.permutation(len(self.dataset))
            support = self._support(order)
            left = order[~np.isin(self._groups[order], self._groups[support])]
            asked = left if self.query is None else left[: self.query]
            if len(support) == self.shot and len(asked) >= (self.query or 1):
                return support, asked
        raise DataError(
            f"{self.dataset.name}: {self.shot} support image(s) on which every class is seen, and "
            f"{self.query or 'any'} of other patients to ask about, could not be drawn. Ask for "
            "more support, fewer queries, or leave out rare classes."
        )

    def _support(self, order: Int[ndarray, "n"]) -> Int[ndarray, "s"]:
        """For each class that is not seen yet, the rarest first, the next image that shows it."""
        chosen: list[int] = []
        for c in self._shows.sum(0).argsort(kind="stable"):
            if not self._shows[chosen, c].any():
                chosen.append(int(order[self._shows[order, c]][0]))
        others = [int(i) for i in order if i not in chosen]
        return np.array(chosen + others[: max(0, self.shot - len(chosen))])

    def episode(self, i: int) -> Episode:
        """Episode `i`, with its images."""
        support, query = (self.dataset.examples(torch.from_numpy(part)) for part in self.draw(i))
        return Episode(self.dataset.task().fitted(support.y), support, query)

    def at(self, channels: int, size: int) -> "ImageEpisodes":
        """Such episodes of the same data in another form."""
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
