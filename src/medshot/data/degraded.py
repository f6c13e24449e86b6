"""Enhancement episodes: clean images with one synthetic degradation an episode."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from medshot.core import ConfigError, Episode, Examples, unknown
from medshot.data.corruptions import DEGRADATIONS, degraded
from medshot.data.dataset import Dataset
from medshot.data.episodes import ImageEpisodes
from medshot.data.io.image import decode
from medshot.data.io.pixels import window_of
from medshot.data.layouts.recognize import read_manifest
from medshot.data.readers.enhancement import LABELS, Pair, squares
from medshot.data.readers.metadata import digest, folder_metadata, read_rows
from medshot.data.tables.delimited import table_in
from medshot.data.tables.labels import Row, columns_of
from medshot.data.transforms import NativePreprocessing, eight_bits, scaled, unit
from medshot.tasks import Enhancement

WEAKEST = 0.3


class DegradedEpisodes:
    """Episode i takes crops of images of one of `datasets` and degrades them all alike.

    The degradation is the task: one of `kinds`, with a strength from 0.3 to 1, sampled for each
    episode. Support and query are of different patients. Source: meta-training on many
    degradations, for adaptation to an unseen one, is the setting of Soh, Cho & Cho 2020,
    arXiv:2002.12213 (MZSR), with the blur kernels of super-resolution.

    Raises:
        ConfigError: an unknown kind, no data set, or crops larger than the images.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        *,
        shot: int,
        query: int,
        size: int = 64,
        kinds: Sequence[str] = tuple(DEGRADATIONS),
        seed: int = 0,
    ) -> None:
        for kind in kinds:
            if kind not in DEGRADATIONS:
                raise unknown(kind, DEGRADATIONS, kind="degradation")
        if not datasets or not kinds:
            raise ConfigError("Give at least one data set, and at least one kind of degradation.")
        smallest = min(dataset.y.shape[-1] for dataset in datasets)
        if size > smallest:
            raise ConfigError(f"Crops of {size} pixels from images of {smallest}: lower the size.")
        drawn = {"shot": shot, "query": query, "seed": seed}
        self.sources = [ImageEpisodes(dataset, **drawn) for dataset in datasets]
        self.size, self.kinds, self.seed = size, tuple(kinds), seed

    def episode(self, i: int) -> Episode:
        """Episode `i`: sampled, cropped and degraded."""
        rng = np.random.default_rng([self.seed, i, 5])
        source = self.sources[rng.integers(len(self.sources))]
        kind = self.kinds[rng.integers(len(self.kinds))]
        strength = float(rng.uniform(WEAKEST, 1))
        data = source.dataset
        support, query = (self._made(data, at, kind, strength, rng) for at in source.draw(i))
        return Episode(data.task, support, query)

    def describe(self) -> dict[str, Any]:
        """Everything that, with the data, determines the episodes."""
        folder_metadata = {"degraded": list(self.kinds), "size": self.size, "seed": self.seed}
        return folder_metadata | {"sources": [source.describe() for source in self.sources]}

    def fingerprint(self, episodes: int) -> str:
        """Hash of what determines the first `episodes` episodes."""
        said = json.dumps([self.describe(), episodes], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def _made(
        self,
        data: Any,
        index: Int[ndarray, "n"],
        kind: str,
        strength: float,
        rng: np.random.Generator,
    ) -> Examples:
        """Crops of the images at `index`, clean and degraded."""
        images, side = data.y[torch.from_numpy(index)].numpy(), data.y.shape[-1]
        corners = rng.integers(0, side - self.size + 1, (len(index), 2))
        crops = [
            image[:, t : t + self.size, x : x + self.size]
            for image, (t, x) in zip(images, corners, strict=True)
        ]
        faulty = [eight_bits(degraded(crop / 255, kind, strength, rng)) for crop in crops]
        x, y = (unit(torch.from_numpy(np.stack(part))) for part in (faulty, crops))
        return Examples(x, y, data.groups[torch.from_numpy(index)])


TARGETS = ("label", "mask", "target")


def clean_images(
    folder: str | Path, *, channels: int = 1, size: int = 128, most: int | None = None
) -> Dataset:
    """Load reference images for synthetic degradation: crops of `size`, as identical pairs.

    At most `most` images, a fixed random subset.

    Raises:
        DataError: as `medshot.load`.
    """
    folder = Path(folder)
    columns = columns_of(table_in(folder))
    column = next((name for name in TARGETS if name in columns), "label")
    rows = read_manifest(folder, target=column)
    if most is not None and len(rows) > most:
        drawn = np.random.default_rng(0).permutation(len(rows))[:most]
        rows = [rows[i] for i in sorted(drawn)]
    rows, pairs = read_rows(rows, _twice)
    form = NativePreprocessing(channels, size)
    x, y = squares(pairs, form)
    known = folder_metadata(folder, rows, [digest(row.path) for row in rows])
    del known["rows"]  # the files hold no pairs to read again
    task = Enhancement(channels)
    return Dataset(x=x, y=y, labels=LABELS, preprocessing=form, task=task, **known)


def _twice(row: Row) -> Pair:
    pixels = decode(row.path)
    values = scaled(pixels, *window_of(pixels))
    return Pair(values, values, 1)
