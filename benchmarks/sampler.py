"""Episodes a second from the sampler alone, against easyfsl's TaskSampler and its DataLoader.

Each side yields support and query images as float32 tensors with their labels, ready for a
model, from the Omniglot training classes (82 240 images with rotations as classes). The peer's
data set holds its images in memory as float32 already; ours holds 8-bit pixels and converts.
A second row has the peer read its images from PNG files, as its own `EasySet` does; they are
28 x 28 already, and of 100 classes only. The peer runs with 0 and with 2 loading processes, and the
better counts.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from doors import task_sampler
from measure import Row, compare, options, report, row
from medshot import EpisodeSampler
from medshot.data.dataset import Dataset
from medshot.evaluation.protocols import protocol

TARGET = 20.0
FORMS = ((5, 1, 15), (60, 1, 5))  # way, shot, query
EPISODES = 100  # a round


class InMemory(TorchDataset):
    """Decoded images, as easyfsl wants its data sets."""

    def __init__(self, dataset: Dataset) -> None:
        self.x, self.y = dataset.examples().x, dataset.y.tolist()

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.x[i], self.y[i]

    def get_labels(self) -> list[int]:
        return self.y


class FromFiles(InMemory):
    """Images that are read and decoded whenever they are asked for."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.y, self.files = dataset.y.tolist(), []
        for i, image in enumerate(dataset.x):
            self.files.append(folder / f"{i}.png")
            Image.fromarray(image[0].numpy()).save(self.files[-1])

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        with Image.open(self.files[i]) as image:
            pixels = torch.frombuffer(bytearray(image.convert("L").tobytes()), dtype=torch.uint8)
        return pixels.view(1, image.height, image.width).float() / 255, self.y[i]


def main() -> None:
    found = options(__doc__, rounds=9)
    count = 10 if found.quick else EPISODES
    dataset = protocol("snell17/omniglot/5w1s").dataset("train")
    some = dataset.only(range(100))
    with tempfile.TemporaryDirectory() as folder:
        files, memory = FromFiles(some, Path(folder)), InMemory(dataset)
        rows = [
            _compare(data, peer, form, count, found.rounds)
            for data, peer in ((dataset, memory), (some, files))
            for form in FORMS
        ]
    report(rows, found)


def _compare(
    dataset: Dataset, memory: InMemory, form: tuple[int, int, int], count: int, rounds: int
) -> Row:
    way, shot, query = form
    sampler = EpisodeSampler(dataset, way=way, shot=shot, query=query)
    numbers = itertools.count()
    workers, peer = _better(memory, form, count)
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: [sampler.episode(next(numbers)) for _ in range(count)],
        "peer": lambda: [next(peer) for _ in range(count)],
    }
    agreement = _check(sampler, next(peer))
    seconds = compare(sides, rounds)
    source = "files" if isinstance(memory, FromFiles) else "memory"
    name = f"sampler, {way}-way {shot}-shot {query}-query, peer from {source}"
    agreement += f"; peer with {workers} loading processes"
    return row(name, *seconds.values(), target=TARGET, per=count, agreement=agreement)


def _better(memory: InMemory, form: tuple[int, int, int], count: int) -> tuple[int, Iterator]:
    """The number of loading processes that is faster here, and its endless episodes."""
    timed = []
    for workers in (0, 2):
        episodes = _peer(memory, form, workers)
        next(episodes)
        start = time.perf_counter()
        for _ in range(2 * count):
            next(episodes)
        timed.append((time.perf_counter() - start, workers))
    workers = min(timed)[1]
    return workers, _peer(memory, form, workers)


def _peer(memory: InMemory, form: tuple[int, int, int], workers: int) -> Iterator:
    tasks = task_sampler()(memory, *form, n_tasks=10**6)
    loader = DataLoader(
        memory, batch_sampler=tasks, num_workers=workers, collate_fn=tasks.episodic_collate_fn
    )
    return iter(loader)


def _check(sampler: EpisodeSampler, theirs: tuple[Tensor, ...]) -> str:
    ours = sampler.episode(0)
    pairs = [
        *((ours.support.x, theirs[0]), (ours.support.y, theirs[1])),
        *((ours.query.x, theirs[2]), (ours.query.y, theirs[3])),
    ]
    same = all(a.shape == b.shape and a.dtype == b.dtype for a, b in pairs)
    counts = all(a.bincount().equal(b.bincount()) for a, b in pairs[1::2])
    return f"same shapes, types, class counts: {same and counts}"


if __name__ == "__main__":
    main()
