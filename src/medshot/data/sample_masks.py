"""Episodes of images with masks, by index, as `medshot.data.sample` has them for labels."""

import copy
import hashlib
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy import ndarray

from medshot.core.episode import Episode
from medshot.core.errors import ConfigError, DataError
from medshot.data.segmented import Segmented
from medshot.data.split import own_groups

RETRIES = 50


class MaskEpisodes:
    """`shot` support and `query` query images, masks of all classes, no patient in both.

    Every class is seen on some support image. `query=None` asks about all images that are left.

    Raises:
        DataError: too few images, or no support shows every class.
    """

    def __init__(
        self, dataset: Segmented, *, shot: int, query: int | None = 1, seed: int = 0
    ) -> None:
        if shot < 1 or (query is not None and query < 1):
            raise ConfigError("shot and query are at least 1.")
        self.dataset, self.shot, self.query, self.seed = dataset, shot, query, seed
        self._groups = own_groups(dataset.groups).numpy()
        self._shows = _shows(dataset)

    def draw(self, i: int) -> tuple[Int[ndarray, "s"], Int[ndarray, "q"]]:
        """The positions of the support and of the query images of episode `i`."""
        rng = np.random.default_rng([self.seed, i])
        for _ in range(RETRIES):
            order = rng.permutation(len(self.dataset))
            support = order[: self.shot]
            left = order[~np.isin(self._groups[order], self._groups[support])]
            asked = left if self.query is None else left[: self.query]
            if self._shows[support].any(0).all() and len(asked) >= (self.query or 1):
                return support, asked
        raise DataError(
            f"{self.dataset.name}: {self.shot} support image(s) on which every class is seen, and "
            f"{self.query or 'any'} of other patients to ask about, could not be drawn. Ask for "
            "more support, fewer queries, or leave out rare classes."
        )

    def episode(self, i: int) -> Episode:
        """Episode `i`, with its images."""
        support, query = (self.dataset.examples(torch.from_numpy(part)) for part in self.draw(i))
        return Episode(self.dataset.task(), support, query)

    def at(self, channels: int, size: int) -> "MaskEpisodes":
        """The same episodes, their images and masks in another form."""
        other = copy.copy(self)
        other.dataset = self.dataset.at(channels, size)
        return other

    def describe(self) -> dict[str, Any]:
        """Everything that, with the data, determines the episodes."""
        about = {"data": self.dataset.name, "hash": self.dataset.hash, "masks": True}
        return about | {"shot": self.shot, "query": self.query, "seed": self.seed}

    def fingerprint(self, episodes: int) -> str:
        """A hash of the first `episodes` draws: equal lists, equal hash."""
        digest = hashlib.sha256(self.dataset.hash.encode())
        for i in range(episodes):
            for part in self.draw(i):
                digest.update(part.astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def _shows(dataset: Segmented) -> Bool[ndarray, "n k"]:
    """Which class is seen on which image."""
    seen = [(dataset.y == c).flatten(1).any(1) for c in range(len(dataset.labels))]
    return torch.stack(seen, 1).numpy()
