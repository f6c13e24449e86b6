"""The 2-D `cls_*` sets as features of the packaged encoder: modalities, episodes, covariances.

A set is encoded once, and its features are kept (at most 100 images a class of medical_mnist, 300
of pneumonia_mnist). Patients are guessed where they are not known.
"""

import csv
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import medshot
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import encode
from medshot.evaluation.protocols import data_root
from medshot.learners.closed_form import stacked_probe
from medshot.learners.closed_form.stacked_probe import StackedProbe
from medshot.tasks import one_hot

MODALITIES = {
    "histology": ("lung_histology", "colon_histology", "oral_histology"),
    "CT": ("covid_ct", "lung_ct_iqoth", "kidney_ct", "head_ct_hemorrhage"),
    "X-ray": ("cxr_tb_shenzhen", "covid_cxr", "pneumonia_mnist", "knee_oa", "mammo_mias_roi"),
    "MRI": ("brain_mri_tumor", "alzheimer_mri"),
    "skin": ("skin_ham10000", "skin_ph2"),
    "eye": ("oct_dme_mx", "fundus_dr_mx"),
    "cells": ("malaria_cells",),
    "endoscopy": ("gi_bleeding_wce",),
    "several": ("medical_mnist",),
}
MODALITY = {name: kind for kind, names in MODALITIES.items() for name in names}
MOST = {"medical_mnist": 100, "pneumonia_mnist": 300}  # images a class
GUESSED = ("patient_guess", "group_guess", "source_guess")  # columns, where patients are not known
SHOTS, QUERY = (1, 5, 20), 10
RANK, SHRINKAGE = 64, 0.3  # of the covariance within classes


class Encoded:
    """A set without its images: labels, patients, and the features of each image.

    `plain` and `shown` are those of the packaged encoder, for queries and for supports; `bar` the
    mean of its last map at 224 pixels.
    """

    def __init__(self, dataset: Dataset, features: dict[str, Tensor]) -> None:
        self.dataset = dataset
        self.plain, self.shown, self.bar = (
            features[name].float() for name in ("plain", "shown", "bar")
        )

    @cached_property
    def scatter(self) -> list[Tensor]:
        """The covariance within classes of each block."""
        labels = one_hot(self.dataset.y, len(self.dataset.labels), like=self.shown)
        rows = self.shown - labels @ (labels.T @ self.shown / labels.sum(0)[:, None])
        return [b.T @ b / len(b) for b in rows.split(list(sizes()), 1)]


def encoded(name: str, out: Path) -> Encoded:
    """The set called `name`; its features are made once."""
    dataset, file = loaded(name), out / "features" / f"{name}.safetensors"
    if not file.exists():
        small, large = medshot.encoder("mobilenet"), bar_encoder()
        images = dataset.at(3, 128)
        found = {
            "plain": encode(small, images),
            "shown": encode(small, images, StackedProbe(small)),
            "bar": encode(large, dataset.at(3, 224)),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({n: t.half() for n, t in found.items()}, file)
        print(name, len(dataset), "encoded", flush=True)
    return Encoded(dataset, load_file(file))


def loaded(name: str) -> Dataset:
    """The images of a set, with patients guessed where they are not known."""
    folder = data_root() / f"cls_{name}"
    dataset = medshot.load(folder, size=32)
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    first = next(iter(rows.values()))
    column = next((c for c in GUESSED if c in first), None)
    if column and not dataset.has_patients:
        codes = [rows[row.path.relative_to(folder).as_posix()][column] for row in dataset.rows]
        numbers = {code: i for i, code in enumerate(sorted(set(codes) - {""}))}
        dataset = replace(dataset, groups=torch.tensor([numbers.get(c, -1) for c in codes]))
    if name in MOST:
        rng = np.random.default_rng(0)
        kept = [
            rng.permutation(np.flatnonzero(dataset.y == c))[: MOST[name]]
            for c in range(len(dataset.labels))
        ]
        dataset = dataset.subset(torch.from_numpy(np.sort(np.concatenate(kept))))
    return dataset


def bar_encoder() -> medshot.Encoder:
    """The encoder of the bar."""
    return medshot.encoder("mobilenet", size=224, depths=())


def episodes(found: Encoded, shot: int, seed: int = 0) -> EpisodeSampler:
    """Episodes of up to 7 classes; fewer images a class where there are not so many."""
    way = min(7, len(found.dataset.labels))
    return EpisodeSampler(found.dataset, way=way, shot=shot, query=QUERY, seed=seed)


@cache
def sizes() -> tuple[int, ...]:
    """The features of each block of the packaged encoder."""
    return medshot.encoder("mobilenet").block_sizes


def factors_of(names: Iterable[str], sets: dict[str, Encoded]) -> Tensor:
    """V (f r) of `WhitenedBlocks`: I - V V' is the inverse root of the covariance, up to scale."""
    return _factors(tuple(sets[name] for name in sorted(names)))


@lru_cache(maxsize=100)
def _factors(sets: tuple[Encoded, ...]) -> Tensor:
    found = []
    for scatters in zip(*(each.scatter for each in sets), strict=True):
        mean = sum(s / s.diagonal().mean() for s in scatters) / len(sets)
        values, vectors = torch.linalg.eigh(mean.double())
        variance = values.clamp(min=0) + SHRINKAGE * values.mean()
        gain, rank = variance.rsqrt(), min(RANK, len(values))
        base = gain[: len(gain) - rank].mean() if rank < len(gain) else gain.max()
        kept = (1 - gain[-rank:] / base).clamp(min=0).sqrt() * vectors[:, -rank:]
        found.append(nn.functional.pad(kept, (RANK - rank, 0)))
    return torch.cat(found).float()


def spread_within(names: Iterable[str], sets: dict[str, Encoded], factors: Tensor) -> Tensor:
    """The squared distance of images to their class mean at the last depth, over sets."""
    found = []
    blocks = range(len(sizes()))[stacked_probe.LAST]
    for block, v in zip(blocks, factors.split(list(sizes()))[stacked_probe.LAST], strict=True):
        whole = [sets[name].scatter[block] for name in names]
        left = [
            s.trace() - 2 * (v.T @ s @ v).trace() + (v.T @ s @ v @ v.T @ v).trace() for s in whole
        ]
        found.append(torch.stack(left).log().mean().exp())
    return torch.stack(found)
