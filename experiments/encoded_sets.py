"""The 2-D `cls_*` sets as features of the packaged encoder, and the prior that they make.

A set is encoded once, and its features are kept (at most 100 images a class of medical_mnist, 300
of pneumonia_mnist). Patients are guessed where they are not known.

The prior of `stacked-probe` (`write_prior`): the covariance within classes, a mean over sets of
each block's, its 64 largest directions; what images of one class differ by; and the blend's
numbers, fitted to the queries of `RECORDS` episodes a set (their likelihood, and in each set the
square of confidence less accuracy), each with factors that know neither its modality nor that of
the set to be judged.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import medshot
from medshot.core.atomic import write_text
from medshot.data.dataset import Dataset
from medshot.data.episodes import EpisodeSampler
from medshot.evaluation.episodes import EncodedEpisodes, encode
from medshot.evaluation.protocols import data_root
from medshot.learners.closed_form import stacked_probe
from medshot.learners.closed_form.stacked_probe import MEMBERS, StackedProbe, weighted
from medshot.nn.encoders.adapters import normalized_blocks, shortened
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
RECORDS = {1: 30, 5: 30, 20: 15}  # episodes a set that the numbers of the prior are fitted to
PULL = 3e-3  # towards where the numbers start: mostly ridge regression
GAP = 10.0  # what a set's confidence less its accuracy, squared, counts beside the likelihood


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
        mean = sum((s / s.diagonal().mean() for s in scatters), torch.zeros(())) / len(sets)
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


def write_prior(place: Path, names: Sequence[str], sets: dict[str, Encoded]) -> None:
    """The prior learned from the sets `names`: two files in `place`."""
    place.mkdir(parents=True, exist_ok=True)
    factors = factors_of(names, sets)
    save_file({"factors": factors.half().contiguous()}, place / "factors.safetensors")
    knots = []
    for shot in SHOTS:
        knots.append(fitted([records(name, names, sets, shot) for name in names]))
    table: dict[str, Any] = {
        "made by": "python experiments/stacked_probe.py",
        "sets": sorted(names),
        "members": [member.name for member in MEMBERS],
        "within": [float(f"{w:.4g}") for w in spread_within(names, sets, factors)],
        "shots": SHOTS,
        **{key: [knot[key] for knot in knots] for key in knots[0]},
    }
    write_text(place / "prior.json", json.dumps(table, indent=1) + "\n")
    stacked_probe._tables.cache_clear()
    print(place, {key: np.round(table[key], 2).tolist() for key in knots[0]}, flush=True)


class Record(NamedTuple):
    """What the members said in episodes of one shape, of the support left out and of queries."""

    left_out: Tensor  # m e n k
    asked: Tensor  # m e q k
    labels: Tensor  # e n k
    apart: Tensor  # e
    evident: Tensor  # e
    target: Tensor  # e q


def records(name: str, names: Sequence[str], sets: dict[str, Encoded], shot: int) -> list[Record]:
    """Records of a set, with factors that know no set of its modality."""
    found, others = sets[name], [n for n in names if MODALITY[n] != MODALITY[name]]
    factors = factors_of(others, sets)
    within = spread_within(others, sets, factors)
    learner = probe()
    shown, plain = (shortened(z, factors, sizes()) for z in (found.shown, found.plain))
    drawn = EncodedEpisodes(episodes(found, shot, seed=1), plain, shown)
    made: dict[Any, list[Record]] = {}
    for i in range(RECORDS[shot]):
        episode = drawn.episode(i)
        support, query, task = episode.support, episode.query, episode.task
        labels = one_hot(support.y, task.n_outputs, like=support.x).double()
        center = stacked_probe._center(support.x, support.y, task)
        rows = [b.double() for b in normalized_blocks(support.x, center, sizes())]
        asked = [b.double() for b in normalized_blocks(query.x, center, sizes())]
        together, evident = stacked_probe.left_out_together(support, task)
        blend = learner.blend([b @ b.T for b in rows], labels, together)
        crosses = torch.stack([q @ b.T for q, b in zip(asked, rows, strict=True)])
        counts = torch.tensor(learner.block_weights(len(rows))).double()
        one = Record(
            blend.left_out,
            torch.einsum("mb,bqn->mqn", counts, crosses) @ blend.coefficients,
            labels,
            stacked_probe.apart(support.x, labels, sizes(), within),
            torch.tensor(evident),
            query.y,
        )
        made.setdefault((one.left_out.shape, one.asked.shape), []).append(one)
    return [_stacked(some) for some in made.values()]


def _stacked(some: list[Record]) -> Record:
    left_out, asked, *rest = zip(*some, strict=True)
    joined = torch.stack(left_out, 1), torch.stack(asked, 1), *map(torch.stack, rest)
    return Record(*(t.float() if t.is_floating_point() else t for t in joined))


def probe(prior: Path | None = None) -> StackedProbe:
    """`stacked-probe` on features of the packaged encoder that are there already."""
    learner: Any = StackedProbe(nn.Identity(), prior=str(prior) if prior else None)
    learner.sizes, learner.known = sizes(), True
    return learner


def fitted(sets: list[list[Record]]) -> dict[str, Any]:
    """The numbers of the prior that serve the queries best, by L-BFGS; sets count alike."""
    start = {
        "log_temperature": torch.full((len(MEMBERS),), 1.5),
        "log_weight": torch.tensor([4.0 * (member.name == "ridge") for member in MEMBERS]),
        "way": torch.tensor(0.3),
        "apart": torch.tensor(0.6),
        "log_evidence": torch.tensor(-3.0),
        "scale_spread": torch.tensor(-0.7),  # its logarithm
    }
    raw = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.LBFGS(list(raw.values()), max_iter=60, line_search_fn="strong_wolfe")

    def numbers() -> dict[str, Tensor]:
        return raw | {"scale_spread": raw["scale_spread"].exp()}

    def cost() -> Tensor:
        optimizer.zero_grad()
        total = sum((_cost(numbers(), found) for found in sets), torch.zeros(())) / len(sets)
        far = sum((raw[name] - value).square().sum() for name, value in start.items())
        total = total + PULL * far
        total.backward()
        return total

    optimizer.step(cost)
    return {n: v.detach().double().numpy().round(4).tolist() for n, v in numbers().items()}


def _cost(numbers: dict[str, Tensor], found: list[Record]) -> Tensor:
    """Minus the mean log likelihood of a set's queries, and how far it is from calibrated."""
    likely, sure, right = [], [], []
    for r in found:
        weights, log_scale = weighted(numbers, r.left_out, r.labels, r.apart, r.evident)
        blended = (weights[..., None, None] * r.asked).sum(0)
        scores = (log_scale.exp()[:, None, None] * blended).log_softmax(-1)
        likely.append(scores.gather(-1, r.target[..., None]).flatten())
        best = scores.max(-1)
        sure.append(best.values.exp().flatten())
        right.append((best.indices == r.target).float().flatten())
    gap = torch.cat(sure).mean() - torch.cat(right).mean()
    return GAP * gap.square() - torch.cat(likely).mean()
