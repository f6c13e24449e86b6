"""Join data sets of one kind, such as a folder and one of corrected masks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medshot.core import DataError
from medshot.data.dataset import Dataset, Reader
from medshot.data.tables.cells import patient_numbers
from medshot.data.tables.labels import Row

BEYOND = -1  # target of padding: an unlabeled voxel, or no box


def joined(datasets: Sequence[Dataset]) -> Dataset:
    """The images of several data sets as one, in the form of the first.

    Of an image that is in several (by the hash of its file), the last counts: it corrects the ones
    before. Patients with one code are one.

    Raises:
        DataError: other kinds of task; classes that cannot be told to be the same.
    """
    first, *others = datasets
    if not others:
        return first
    for other in others:
        if other.kind != first.kind:
            raise DataError(f"{first.name} is for {first.kind}, and {other.name} for {other.kind}.")
    labels = _labels(datasets)
    parts = [_in_form(each, first).numbered_as(labels) for each in datasets]
    files = [file for part in parts for file in _files(part)]
    last = {file: i for i, file in enumerate(files)}
    kept = torch.tensor(sorted(last.values()))
    rows = [row for part in parts for row in part.rows]
    whole = replace(
        parts[0],
        name=" + ".join(part.name for part in parts),
        x=_stacked([part.x for part in parts], 0),
        y=_stacked([part.y for part in parts], BEYOND),
        groups=_groups(parts, rows),
        hash=" + ".join(part.hash for part in parts),
        split=tuple(s for part in parts for s in part.split or ("",) * len(part)),
        rows=tuple(rows) if len(rows) == len(files) else (),
        contents=tuple(c for part in parts for c in part.contents),
        licence="; ".join(dict.fromkeys(part.licence for part in parts)),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        read=_reader(parts),
    ).subset(kept)
    corrected = len(files) - len(kept)
    if not corrected:
        return whole
    said = (
        f"{corrected} image(s) are in several of {whole.name}: their last targets count. Where "
        "one was made from a prediction, scores on it are too good."
    )
    return replace(whole, notes=(said, *whole.notes))


def _labels(datasets: Sequence[Dataset]) -> tuple[str, ...]:
    """Classes of all, those of the first in front; numbers by their value."""
    labels = list(dict.fromkeys(label for each in datasets for label in each.labels))
    rest = [label for label in labels if label != "background"]
    if "foreground" in rest and len(rest) > 1:
        others = ", ".join(label for label in rest if label != "foreground")
        names = " and ".join(each.name for each in datasets)
        raise DataError(
            f"Of {names}, one has masks of one class without name, and another of {others}. "
            "Say in a classes.csv (number,name) what 1 is."
        )
    if all(label.isdecimal() for label in rest):
        rest.sort(key=int)
    return (*(["background"] if "background" in labels else []), *rest)


def _in_form(dataset: Dataset, like: Dataset) -> Dataset:
    """The data set with the preprocessing of `like`, read again where it has another."""
    form: Any = like.preprocessing
    if dataset.preprocessing == form:
        return dataset
    if dataset.read is not None:
        x, y = dataset.read(dataset.rows, form)
        return replace(dataset, x=x, y=y, preprocessing=form)
    return dataset.at(getattr(form, "channels", None), getattr(form, "size", None))


def _files(part: Dataset) -> Sequence[object]:
    """What tells an image from others: the hash of its file, or that it is this one."""
    return part.contents or [object() for _ in range(len(part))]


def _stacked(parts: Sequence[Tensor], fill: int) -> Tensor:
    """Concatenate, padded at the end to the largest of each side."""
    sides = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    padded = []
    for part in parts:
        beyond = [(0, wanted - n) for n, wanted in zip(part.shape[1:], sides, strict=True)]
        if any(n for _, n in beyond):
            signed = part if part.dtype != torch.uint8 or fill >= 0 else part.to(torch.int8)
            flat = [n for pair in reversed(beyond) for n in pair]
            padded.append(F.pad(signed, flat, value=fill))
        else:
            padded.append(part)
    return torch.cat(padded)


def _groups(parts: Sequence[Dataset], rows: Sequence[Row]) -> Tensor:
    if len(rows) == sum(map(len, parts)):
        return torch.tensor(patient_numbers([row.patient for row in rows]))
    groups, begin = [], 0
    for part in parts:
        groups.append(torch.where(part.groups >= 0, part.groups + begin, -1))
        begin += int(part.groups.max()) + 1
    return torch.cat(groups)


def _reader(parts: Sequence[Dataset]) -> Reader | None:
    readers: list[tuple[frozenset[Path], Reader]] = [
        (frozenset(row.path for row in part.rows), part.read) for part in parts if part.read
    ]
    return partial(_read, readers) if readers else None


def _read(
    readers: Sequence[
        tuple[frozenset[Path], Callable[[Sequence[Row], Any], tuple[Tensor, Tensor]]]
    ],
    rows: Sequence[Row],
    form: Any,
) -> tuple[Tensor, Tensor]:
    """Read each row by the reader of its data set."""
    found = [
        next(read for paths, read in reversed(readers) if row.path in paths)([row], form)
        for row in rows
    ]
    return _stacked([x for x, _ in found], 0), _stacked([y for _, y in found], BEYOND)
