"""Whether meta-training makes the ImageNet encoder better on modalities that it was not taught.

    MEDSHOT_DATA=FOLDER MEDSHOT_WEIGHTS=FOLDER python experiments/metatrain_box.py --out FOLDER

MobileNet v1 up to block 12, images of 128 pixels. The pointwise kernels of blocks 9 to 12 learn
from sets of labelled images, patches of the sets with masks, and phantoms (`metatrain_box_maps`),
by the objectives of `metatrain_box_learn`. Four folds: each leaves out one or two modalities, with
their masks, and is judged on them alone, at 1, 5 and 20 images a class, patients apart. The recipe
was chosen on the first fold, with other episodes and training seeds; the result is the other three.

The head is always the same: mean and deviation over the map after blocks 11 and 12, every block
centered on the support's mean, of length 1; logistic regression (C = 10) of the support and its
mirrored images; probabilities averaged over the query as it is and mirrored. Compared with it on
the frozen encoder, on the same episodes: the trained encoder, both encoders' features together,
and the mean of both answers. Resumes: a fold and seed that is written is skipped.

Intervals: `half` is the root of two squares added, Student's t over the training seeds' means and
1.96 standard errors over episodes (of the mean over seeds), the sets being fixed; `half, over sets`
is Student's t over the means of the sets, for sets that are not among them.
"""

import argparse
import json
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from safetensors.torch import save_file
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import medshot
from medshot.core.atomic import write_text
from medshot.core.errors import DataError
from medshot.data.dataset import Dataset
from medshot.data.episodes import Draw, EpisodeSampler
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.statistics import Z95
from metatrain_box_learn import Learning, Moved, Recipe, Tail, Teacher, shaped, teachers_of
from metatrain_box_maps import GROUPS, MIXED, OPEN, TIED, Maps, all_maps, layers_of
from results import arguments, commit, hardware

FOLDS = (
    ("histology", "MRI"),  # the recipe was chosen here
    ("CT", "cells and endoscopy"),
    ("X-ray",),
    ("skin", "eye"),
)
SEEDS = (1, 2, 3)
SHOTS, EPISODES, QUERIES = (1, 5, 20), 100, (10, 8, 6, 5, 4, 3)
HOW = ("trained", "features together", "answers averaged")
RECIPES = {"distill": Recipe(), "ridge": Recipe(losses={"ridge": 1.0, "stay": 1.0})}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    encoder: Any = medshot.encoder("mobilenet")
    layers = layers_of(encoder)
    cut = list(layers).index("block9_dw")
    tail = Tail(list(layers.values())[cut:])
    maps = all_maps(encoder, options.out / "maps", list(layers.values())[:cut])
    frozen = _frozen(tail, maps, options.out / "maps" / "frozen.npz")
    learn = partial(_learned, tail, maps, frozen, RECIPES[options.recipe])
    if options.ship:
        _ship(encoder, learn((), 1, True)[0], options.out / "mobilenet_v1.safetensors")
        return
    folder = options.out / f"{options.recipe}, {'open sets' if options.open else 'all sets'}"
    for seed in options.seeds:
        for fold in [FOLDS[i - 1] for i in options.folds]:
            file = folder / _file(fold, seed)
            if file.exists():
                continue
            started = time.process_time()
            moved, row = learn(fold, seed, options.open)
            scores = {n: _judged(maps[n], tail, moved, frozen[n]) for n in _sets(fold)}
            file.parent.mkdir(parents=True, exist_ok=True)
            kernels = {str(i): m for i, m in enumerate(moved)}
            save_file(kernels, file.with_suffix(".safetensors"))  # for `stacked_probe.py --moved`
            write_text(file, json.dumps(row | {"scores": scores}) + "\n")
            print(f"{file} {time.process_time() - started:.0f} s", flush=True)
    about = {"recipe": asdict(RECIPES[options.recipe]), "hardware": hardware(), "commit": commit()}
    found = about | _summary(folder)
    write_text(options.out / f"{folder.name}.json", json.dumps(found, indent=1) + "\n")


def _learned(
    tail: Tail,
    maps: dict[str, Maps],
    frozen: dict[str, Tensor],
    recipe: Recipe,
    fold: tuple[str, ...],
    seed: int,
    only_open: bool,
) -> tuple[Moved, dict[str, Any]]:
    """What is added to the kernels where `fold` is left out, and how it was learned."""
    started = time.process_time()
    teachers: dict[str, Teacher] = {}
    if "distill" in recipe.losses:
        if (seed, only_open) not in _TEACHERS:  # the same for all folds
            sets = [m for m in maps.values() if _may_learn(m, (), only_open)]
            _TEACHERS[seed, only_open] = teachers_of(tail, sets, frozen, recipe, seed)
        teachers = _TEACHERS[seed, only_open]
    sets = [m for m in maps.values() if _may_learn(m, fold, only_open)]
    learning = Learning(tail, sets, frozen, recipe, seed, teachers)
    moved, seconds = learning.run(), round(time.process_time() - started)
    names = [m.name for m in sets]
    return moved, {"seconds": seconds, "sets": names, "history": learning.history}


_TEACHERS: dict[tuple[int, bool], dict[str, Teacher]] = {}


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of maps and results")
    parser.add_argument("--recipe", choices=RECIPES, default="distill")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="of training")
    parser.add_argument("--folds", type=int, nargs="*", default=(2, 3, 4, 1), help="in this order")
    parser.add_argument("--open", action="store_true", help="learn from open sets alone")
    parser.add_argument("--ship", action="store_true", help="learn from all open sets, and save")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    return parser.parse_args()


def _ship(encoder: Any, moved: Moved, file: Path) -> None:
    """The packaged weights with what was learned added to their kernels, as in the package."""
    tensors = {name.removeprefix("layers."): t for name, t in encoder.state_dict().items()}
    points = [name for name in tensors if name.endswith("_pw.weight")]
    for name, more in zip(points[-len(moved) :], moved, strict=True):
        tensors[name] = tensors[name] + more
    short = {name: tensors[name].half() for name in points}
    about = {"license": "Apache-2.0", "source": "MobileNetV1 1.0 224, ImageNet; meta-trained"}
    save_file({name: t.contiguous() for name, t in (tensors | short).items()}, file, about)


def _frozen(tail: Tail, maps: dict[str, Maps], file: Path) -> dict[str, Tensor]:
    """The features of all variants of all images, before any learning."""
    if not file.exists():
        start = tail.start()
        found: Any = {n: tail.features(m, start, len(m.x)).half().numpy() for n, m in maps.items()}
        np.savez(file, **found)
    with np.load(file) as z:
        return {name: torch.from_numpy(z[name]).float() for name in maps}


def _may_learn(data: Maps, fold: tuple[str, ...], only_open: bool) -> bool:
    if only_open and data.name not in (*OPEN, "phantoms"):
        return False
    mixed = data.name == MIXED and not {"CT", "MRI", "X-ray"}.isdisjoint(fold)
    return data.modality not in fold and not mixed


def _judged(data: Maps, tail: Tail, moved: Moved, frozen: Tensor) -> dict[int, Any]:
    """Balanced accuracy of the frozen encoder and of each of `HOW`: rows of episodes, by shots."""
    before, after = frozen[:2], tail.features(data, moved)
    found = {}
    for shot in SHOTS:
        sampler = _sampler(data, shot)
        if sampler is None:
            continue
        rows = []
        for i, draw in enumerate(map(sampler.draw, range(EPISODES))):
            known = data.name, shot, i
            if known not in _FIRST:
                old = _products(before, draw)
                _FIRST[known] = old, _answers(old, draw)
            (old, first), new = _FIRST[known], _products(after, draw)
            second = _answers(new, draw)
            answers = (first, second, _answers((old + new) / 2, draw), first + second)
            rows.append([round(float((a.argmax(1) == draw.query_y).mean()), 5) for a in answers])
        found[shot] = {"query": sampler.query, "scores": rows}
    return found


_FIRST: dict[tuple[str, int, int], Any] = {}  # the frozen encoder's products and answers


def _sampler(data: Maps, shot: int) -> EpisodeSampler | None:
    """All classes, and as many of `QUERIES` a class as the patients allow."""
    k = int(data.y.max()) + 1
    blank = torch.zeros(len(data.y), 3, 1, 1, dtype=torch.uint8)
    y, groups = torch.from_numpy(data.y), torch.from_numpy(data.groups)
    form = ImagePreprocessing(3, 1)
    indexed = Dataset(data.name, blank, y, tuple(map(str, range(k))), groups, form, "")
    for query in QUERIES:
        try:
            sampler = EpisodeSampler(indexed, way=k, shot=shot, query=query, seed=26)
            for i in range(EPISODES):
                sampler.draw(i)
        except DataError:
            continue
        return sampler
    return None


def _products(z: Float[Tensor, "2 n f"], draw: Draw) -> Float[ndarray, "m s"]:
    """Inner products with the support of the support and the query, mirrored ones included."""
    support, query = z[:, draw.support].flatten(0, 1), z[:, draw.query].flatten(0, 1)
    center = support.mean(0)
    rows = 2 * torch.cat([shaped(support, center), shaped(query, center)])  # blocks of length 1
    return (rows @ rows[: len(support)].T).double().numpy()


def _answers(products: Float[ndarray, "m s"], draw: Draw) -> Float[ndarray, "q k"]:
    """Probabilities (twice) of logistic regression: exact in the span of the support."""
    n = products.shape[1]
    values, vectors = np.linalg.eigh(products[:n])
    kept = values > 1e-6 * values[-1]
    rows = products @ (vectors[:, kept] / np.sqrt(values[kept]))
    model = LogisticRegression(C=10, max_iter=300).fit(rows[:n], np.tile(draw.support_y, 2))
    found = model.predict_proba(rows[n:])
    return found[: len(draw.query)] + found[len(draw.query) :]


def _summary(folder: Path) -> dict[str, Any]:
    """Differences to the frozen encoder in points, by set, by fold, and over the judged folds."""
    scores: dict[str, dict[str, list[Any]]] = {}  # set, shots: seeds x episodes x answers
    done = []
    for fold in FOLDS:
        files = [folder / _file(fold, seed) for seed in SEEDS]
        if not all(file.exists() for file in files):
            continue
        done.append(fold)
        for file in files:
            for name, by_shot in json.loads(file.read_text())["scores"].items():
                for shot, found in by_shot.items():
                    scores.setdefault(name, {}).setdefault(shot, []).append(found["scores"])
    parts = {" and ".join(fold): _sets(fold) for fold in done}
    parts["all but the first fold"] = [n for fold in done if fold != FOLDS[0] for n in _sets(fold)]
    parts |= {name: [name] for fold in done for name in _sets(fold)}
    found = {}
    for part, names in parts.items():
        rows = {s: [scores[n][str(s)] for n in names if str(s) in scores[n]] for s in SHOTS}
        found[part] = {str(s): _differences(row) for s, row in rows.items() if row}
    return found


def _file(fold: tuple[str, ...], seed: int) -> str:
    return f"{' and '.join(fold)}, seed {seed}.json"


def _sets(fold: tuple[str, ...]) -> list[str]:
    return [name for group in fold for name in GROUPS[group] if name not in TIED]


def _differences(scores: list[Any]) -> dict[str, Any]:
    """Of some sets: the frozen encoder's score, and by how much each of `HOW` is ahead of it."""
    values = 100 * np.array(scores)  # sets x seeds x episodes x answers
    found: dict[str, Any] = {"frozen": round(float(values[..., 0].mean()), 2), "sets": len(values)}
    for i, how in enumerate(HOW, 1):
        ahead = values[..., i] - values[..., 0]
        each = ahead.mean(0)  # seeds x episodes
        n, m = each.shape
        of_seeds = student.ppf(0.975, n - 1) * each.mean(1).std(ddof=1) / n**0.5
        of_episodes = Z95 * each.mean(0).std(ddof=1) / m**0.5
        row = {"mean": each.mean(), "half": np.hypot(of_seeds, of_episodes)}
        if len(values) > 2:
            by_set = ahead.mean((1, 2))
            k = len(by_set)
            row["half, over sets"] = student.ppf(0.975, k - 1) * by_set.std(ddof=1) / k**0.5
        found[how] = {key: round(float(value), 2) for key, value in row.items()}
        found[how]["seeds"] = each.mean(1).round(2).tolist()
    return found


if __name__ == "__main__":
    main()
