"""Which episodes teach and which judge, from what the user gave."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from medshot.core.errors import DataError
from medshot.data.dataset import Dataset, DrawnEpisodes
from medshot.data.episodes import EpisodeSource, Mixture
from medshot.data.split import refuse_shared_patients, split_classes, split_patients

Given = Dataset | Sequence[Dataset] | EpisodeSource
ENOUGH_CLASSES = 5  # times way: then a fifth of the classes can be held out


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
    """Episodes to learn from and episodes to validate on, which share no class or no patient.

    The images of data sets are brought into the form (channels, size) that `encoder` takes.

    Raises:
        DataError: nothing to validate on, or too little.
        LeakError: `data` and `val` are of one folder of masks, numbers, ..., and share a patient.
    """
    taught, judged = _datasets(data, encoder), _datasets(val, encoder)
    held_out = bool(taught) and val is None
    if held_out:
        halves = [_hold_out(dataset, way, seed) for dataset in taught]
        taught, judged = [a for a, _ in halves], [b for _, b in halves]
    sampled = partial(_sampled, way=way, shot=shot, query=query, device=device)
    first = sampled(taught, seed=seed) if taught else data
    if val is None and not held_out:
        raise DataError("Give `val` too: episodes that were made elsewhere cannot be split here.")
    try:
        second = sampled(judged, seed=seed + 1) if judged else val
    except DataError as error:
        if not held_out:
            raise
        raise DataError(
            f"Of the images that are held out for validation, a fifth of each set: {error} Or ask "
            "for fewer support and query images, or give more (in Python, `val` data of its own)."
        ) from error
    _refuse_shared(first, second)  # type: ignore[arg-type]
    return first, second  # type: ignore[return-value]


def _refuse_shared(taught: EpisodeSource, judged: EpisodeSource) -> None:
    """Raise `LeakError` if a patient is in both, where all of one folder is asked about in both.

    Of labels, other classes may be held out and not other patients: then it is for who made them.
    """
    for a in _drawn(taught):
        for b in _drawn(judged):
            if (
                a.hash == b.hash and not a.task.by_class
            ):  # in another folder, one code is another person
                refuse_shared_patients(a, b)


def _drawn(source: EpisodeSource) -> list[Dataset]:
    """The data sets that a source draws from, also one around others."""
    if inner := _inside(source):
        return [dataset for each in inner for dataset in _drawn(each)]
    return [source.dataset] if isinstance(source, DrawnEpisodes) else []


def seen(source: EpisodeSource) -> list[dict[str, Any]]:
    """The data sets, classes and images of a source, so that they are not judged on later."""
    return [
        {"hash": data.hash, "classes": list(data.labels), "images": list(data.contents)}
        for data in _drawn(source)
    ]


def references(source: EpisodeSource) -> list[str]:
    """What to cite for a source, and for those that it is around."""
    own = getattr(source, "reference", None)
    return [*([own] if own else []), *(r for each in _inside(source) for r in references(each))]


def _inside(source: EpisodeSource) -> list[EpisodeSource]:
    """The sources that one is around: a mixture, one after the other, an augmentation."""
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
    """Among several data sets, one with fewer classes gives episodes of all it has."""
    return min(way, len(dataset.labels)) if len(datasets) > 1 else way
