"""Training and validation episodes from the user's data."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from medshot.core import DataError
from medshot.data.dataset import Dataset, DrawnEpisodes
from medshot.data.episodes import EpisodeSource, Mixture
from medshot.data.split import refuse_shared_patients, split_classes, split_patients

Given = Dataset | Sequence[Dataset] | EpisodeSource
ENOUGH_CLASSES = 5  # times way: with these, a fifth of the classes can be held out


def episode_sources(
    data: Given,
    val: Given | None,
    *,
    way: int,
    shot: int,
    query: int,
    seed: int,
    device: torch.device,
    encoder: nn.Module,
) -> tuple[EpisodeSource, EpisodeSource]:
    """Training and validation episodes that share no class or no patient.

    The images of data sets are converted to the channels and size that `encoder` takes.

    Raises:
        DataError: no validation data, or too few.
        LeakError: `data` and `val` are from one folder of masks, numbers, ..., and share a patient.
    """
    train_data, val_data = _datasets(data, encoder), _datasets(val, encoder)
    held_out = bool(train_data) and val is None
    if held_out:
        halves = [_hold_out(dataset, way, seed) for dataset in train_data]
        train_data, val_data = [a for a, _ in halves], [b for _, b in halves]
    sampled = partial(_sampled, way=way, shot=shot, query=query, device=device)
    first = sampled(train_data, seed=seed) if train_data else data
    if val is None and not held_out:
        raise DataError("Give `val` too: a custom episode source cannot be split.")
    try:
        second = sampled(val_data, seed=seed + 1) if val_data else val
    except DataError as error:
        if not held_out:
            raise
        raise DataError(
            f"A fifth of each data set is held out for validation: {error} Or take fewer support "
            "and query images, or give more data (in Python, separate `val` data)."
        ) from error
    _refuse_shared(first, second)  # type: ignore[arg-type]
    return first, second  # type: ignore[return-value]


def _refuse_shared(train_data: EpisodeSource, val_data: EpisodeSource) -> None:
    """Raise `LeakError` if a patient is in both, where both have the same targets of one folder.

    Data sets of labels may be split by class instead: patients are then the caller's business.
    """
    for a in _drawn(train_data):
        for b in _drawn(val_data):
            if (
                a.hash == b.hash and not a.task.by_class
            ):  # in another folder, the same code is another person
                refuse_shared_patients(a, b)


def _drawn(source: EpisodeSource) -> list[Dataset]:
    """The data sets that a source draws from, also through wrapped sources."""
    if inner := _inside(source):
        return [dataset for each in inner for dataset in _drawn(each)]
    return [source.dataset] if isinstance(source, DrawnEpisodes) else []


def seen(source: EpisodeSource) -> list[dict[str, Any]]:
    """Data sets, classes and images of a source, to be excluded from later evaluation."""
    return [
        {"hash": data.hash, "classes": list(data.labels), "images": list(data.contents)}
        for data in _drawn(source)
    ]


def references(source: EpisodeSource) -> list[str]:
    """References of a source, and of the sources that it wraps."""
    own = getattr(source, "reference", None)
    return [*([own] if own else []), *(r for each in _inside(source) for r in references(each))]


def _inside(source: EpisodeSource) -> list[EpisodeSource]:
    """The sources that one wraps: a mixture, a sequence, an augmentation."""
    inner = getattr(source, "source", None)
    return list(getattr(source, "sources", [inner] if isinstance(inner, EpisodeSource) else []))


def _datasets(given: Given | None, encoder: nn.Module) -> list[Dataset]:
    several = [given] if isinstance(given, Dataset) else given
    if not isinstance(several, Sequence):
        return []
    channels, size = (getattr(encoder, name, None) for name in ("channels", "size"))
    return [dataset.at(channels, size) if channels and size else dataset for dataset in several]


def _hold_out(dataset: Dataset, way: int, seed: int) -> tuple[Dataset, Dataset]:
    if dataset.task.by_class and len(dataset.labels) >= ENOUGH_CLASSES * way:
        return split_classes(dataset, 0.2, seed)
    return split_patients(dataset, 0.2, seed)


def _sampled(
    datasets: Sequence[Dataset], *, way: int, shot: int, query: int, seed: int, device: torch.device
) -> EpisodeSource:
    samplers = [
        dataset.to(device).episodes(
            way=_ways(dataset, way, datasets), shot=shot, query=query, seed=seed
        )
        for dataset in datasets
    ]
    return samplers[0] if len(samplers) == 1 else Mixture(samplers, seed=seed)


def _ways(dataset: Dataset, way: int, datasets: Sequence[Dataset]) -> int:
    """Classes an episode: with several data sets, one with fewer classes uses all of them."""
    return min(way, len(dataset.labels)) if len(datasets) > 1 else way
