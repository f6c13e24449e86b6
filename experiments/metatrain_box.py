"""Whether meta-training makes the ImageNet encoder better on modalities that it was not taught.

    MEDSHOT_DATA=FOLDER MEDSHOT_WEIGHTS=FOLDER python experiments/metatrain_box.py --out FOLDER
    python experiments/metatrain_box.py whitened --from FOLDER --features FOLDER --out FOLDER

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

`whitened`: what that is worth under the head in the box: the features of five depths as
`stacked-probe` reads them (support and mirrored images averaged, whitened by the covariance within
the classes of the sets of other modalities, directions about the support's center), ridge
regression with its penalty; against the same on the encoder as it is, on the same episodes of the
sets of the fold left out. What comes before block 9 does not move, and is computed once.
--features: the folder of `stacked_probe.py`. Points of balanced accuracy. Resumes.
"""

import argparse
import json
import time
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from safetensors.torch import load_file, save_file
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import medshot
from encoded_sets import MODALITY, SHOTS, Encoded, encoded, episodes, factors_of, probe, sizes
from medshot.core.atomic import write_text
from medshot.data.episodes import Draw
from medshot.evaluation.episodes import EncodedEpisodes
from medshot.evaluation.statistics import Z95
from medshot.inner import closed_form
from medshot.learners.closed_form.stacked_probe import MEMBERS, alike
from medshot.nn.encoders.adapters import normalized_blocks, shortened
from medshot.nn.encoders.mobilenet import _deviation, normalized_rows
from medshot.tasks import Classification, one_hot
from metatrain_box_learn import (
    Learning,
    Moved,
    Recipe,
    Tail,
    Teacher,
    as_maps,
    frozen_features,
    moved_layers,
    shaped,
    teachers_of,
)
from metatrain_box_maps import (
    GROUPS,
    Layer,
    Maps,
    all_maps,
    judged_sets,
    layers_of,
    may_teach,
    sampler_of,
    through,
)
from results import arguments, commit, hardware

FOLDS = (
    ("histology", "MRI"),  # the recipe was chosen here
    ("CT", "cells and endoscopy"),
    ("X-ray",),
    ("skin", "eye"),
)
SEEDS = (1, 2, 3)
EPISODES = 100
EPISODES_WHITENED = {1: 60, 5: 40, 20: 20}
HOW = ("trained", "features together", "answers averaged")
RIDGE = MEMBERS[1]
FIRST = 4  # blocks of features that do not move: mean and deviation after blocks 5 and 7
READ = ("block9_pw", "block11_pw", "block12_pw")
RECIPES = {"distill": Recipe(), "ridge": Recipe(losses={"ridge": 1.0, "stay": 1.0})}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    encoder: Any = medshot.encoder("mobilenet")
    layers = layers_of(encoder)
    cut = list(layers).index("block9_dw")
    if options.part == "whitened":
        whitened(encoder, layers, cut, options)
        return
    tail = Tail(list(layers.values())[cut:])
    maps = all_maps(encoder, options.out / "maps", list(layers.values())[:cut])
    frozen = frozen_features(tail, maps, options.out / "maps" / "frozen.npz")
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
            scores = {n: _judged(maps[n], tail, moved, frozen[n]) for n in judged_sets(fold)}
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file({str(i): m for i, m in enumerate(moved)}, file.with_suffix(".safetensors"))
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
            sets = [m for m in maps.values() if may_teach(m, (), only_open)]
            _TEACHERS[seed, only_open] = teachers_of(tail, sets, frozen, recipe, seed)
        teachers = _TEACHERS[seed, only_open]
    sets = [m for m in maps.values() if may_teach(m, fold, only_open)]
    learning = Learning(tail, sets, frozen, recipe, seed, teachers)
    moved, seconds = learning.run(), round(time.process_time() - started)
    about = {"seconds": seconds, "sets": [m.name for m in sets]}
    return moved, about | {"history": learning.history}


_TEACHERS: dict[tuple[int, bool], dict[str, Teacher]] = {}


def _options() -> argparse.Namespace:
    parser = arguments(__doc__, "plain", "whitened")
    parser.add_argument("--out", type=Path, required=True, help="folder of maps and results")
    parser.add_argument("--recipe", choices=RECIPES, default="distill")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="of training")
    parser.add_argument("--folds", type=int, nargs="*", default=(2, 3, 4, 1), help="in this order")
    parser.add_argument("--open", action="store_true", help="learn from open sets alone")
    parser.add_argument("--ship", action="store_true", help="learn from all open sets, and save")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--from", dest="source", type=Path, help="of `whitened`: the kernels")
    parser.add_argument("--features", type=Path, help="of `whitened`: folder of stacked_probe.py")
    options = parser.parse_args()
    if options.part == "whitened" and not (options.source and options.features):
        parser.error(
            "whitened needs --from, folder of kernels, and --features, of stacked_probe.py"
        )
    return options


def _ship(encoder: Any, moved: Moved, file: Path) -> None:
    """The packaged weights with what was learned added to their kernels, as in the package."""
    tensors = {name.removeprefix("layers."): t for name, t in encoder.state_dict().items()}
    points = [name for name in tensors if name.endswith("_pw.weight")]
    for name, more in zip(points[-len(moved) :], moved, strict=True):
        tensors[name] = tensors[name] + more
    short = {name: tensors[name].half() for name in points}
    about = {"license": "Apache-2.0", "source": "MobileNetV1 1.0 224, ImageNet; meta-trained"}
    save_file({name: t.contiguous() for name, t in (tensors | short).items()}, file, about)


def _judged(data: Maps, tail: Tail, moved: Moved, frozen: Tensor) -> dict[int, Any]:
    """Balanced accuracy of the frozen encoder and of each of `HOW`: rows of episodes, by shots."""
    before, after = frozen[:2], tail.features(data, moved)
    found = {}
    for shot in SHOTS:
        sampler = sampler_of(data, shot, EPISODES)
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
    parts = {" and ".join(fold): judged_sets(fold) for fold in done}
    parts["all but the first fold"] = [
        n for fold in done if fold != FOLDS[0] for n in judged_sets(fold)
    ]
    parts |= {name: [name] for fold in done for name in judged_sets(fold)}
    found = {}
    for part, names in parts.items():
        rows = {s: [scores[n][str(s)] for n in names if str(s) in scores[n]] for s in SHOTS}
        found[part] = {str(s): _differences(row) for s, row in rows.items() if row}
    return found


def _file(fold: tuple[str, ...], seed: int) -> str:
    return f"{' and '.join(fold)}, seed {seed}.json"


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


def whitened(encoder: Any, layers: dict[str, Layer], cut: int, options: argparse.Namespace) -> None:
    """Points that the kernels in `options.source` are ahead of the frozen ones."""
    sets = {name: encoded(name, options.features) for name in MODALITY}
    trunk, tail = options.out / "trunk", dict(list(layers.items())[cut:])
    for name, found in sets.items():
        _trunk(encoder, list(layers.values())[:cut], found, trunk / f"{name}.npy")
    rows = []
    for seed, fold in product(options.seeds, FOLDS):
        file = options.out / _file(fold, seed)
        if not file.exists():
            kernels = load_file(options.source / file.with_suffix(".safetensors").name)
            layers = dict(
                zip(tail, moved_layers(list(tail.values()), list(kernels.values())), strict=True)
            )
            moved = {n: _moved(layers, s, trunk / f"{n}.npy") for n, s in sets.items()}
            names = [n for group in fold for n in GROUPS[group] if n in MODALITY]
            made = {n: _whitened_differences(n, sets, moved) for n in names}
            write_text(file, json.dumps(made) + "\n")
            print(file.stem, made, flush=True)
        rows.append((seed, json.loads(file.read_text())))
    found = _whitened_summary(rows)
    write_text(options.out / "box_whitened.json", json.dumps(found, indent=1) + "\n")


@torch.inference_mode()
def _trunk(encoder: Any, head: list[Layer], found: Encoded, file: Path) -> None:
    """The maps after block 8 of a set's images and their mirror images, kept in `file`."""
    if file.exists():
        return
    images, rows = found.dataset.at(3, 128), []
    for part in torch.arange(len(images)).split(16):
        x = images.examples(part).x
        z = through(head, encoder.scaled(torch.cat([x, x.flip(-1)])))
        rows.append(z.permute(0, 2, 3, 1).half().unflatten(0, (2, len(part))).numpy())
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.concatenate(rows, 1))


@torch.inference_mode()
def _moved(tail: dict[str, Layer], found: Encoded, file: Path) -> Encoded:
    """A set with its features by the moved kernels."""
    maps, both = np.load(file, mmap_mode="r"), []
    for variant in maps:
        rows = []
        for part in np.array_split(variant, -(-len(variant) // 32)):
            z, read = as_maps(part), []
            for name, layer in tail.items():
                z = layer(z)
                if name in READ:
                    flat = z.flatten(2)
                    read += [normalized_rows(flat.mean(2)), normalized_rows(_deviation(flat))]
            rows.append(torch.cat(read, 1))
        both.append(torch.cat(rows))
    widths = list(sizes())
    first, rest = sum(widths[:FIRST]), widths[-1]
    last = both[0], (both[0] + both[1]) / 2
    old = found.plain, found.shown
    plain, shown = (
        torch.cat([o[:, :first], new, o[:, -rest:]], 1) for o, new in zip(old, last, strict=True)
    )
    return Encoded(found.dataset, {"plain": plain, "shown": shown, "bar": found.bar})


def _whitened_differences(
    name: str, sets: dict[str, Encoded], moved: dict[str, Encoded]
) -> dict[int, float]:
    """Points of balanced accuracy that the moved kernels are ahead on a set, by shots."""
    others = [n for n in MODALITY if MODALITY[n] != MODALITY[name]]
    before, after = (_scores(each[name], factors_of(others, each)) for each in (sets, moved))
    ahead = {shot: np.mean(np.subtract(after[shot], before[shot])) for shot in SHOTS}
    return {shot: round(100 * float(mean), 3) for shot, mean in ahead.items()}


def _scores(found: Encoded, factors: Tensor) -> dict[int, list[float]]:
    shown, plain = (shortened(z, factors, sizes()) for z in (found.shown, found.plain))
    counts = probe().block_weights(len(sizes()))[MEMBERS.index(RIDGE)]
    metric, scores = Classification.metrics["balanced accuracy"], {}
    for shot in SHOTS:
        drawn = EncodedEpisodes(episodes(found, shot), plain, shown)
        scores[shot] = []
        for i in range(EPISODES_WHITENED[shot]):
            support, query, task = (e := drawn.episode(i)).support, e.query, e.task
            labels = one_hot(support.y, task.n_outputs, like=shown)
            means = labels.T @ support.x / labels.sum(0)[:, None]
            rows, asked = (
                normalized_blocks(z, means.mean(0), sizes()) for z in (support.x, query.x)
            )
            kernel = sum(
                (c * a @ a.T for c, a in zip(counts, rows, strict=True)), 0 * rows[0][:, :1]
            )
            each = zip(counts, asked, rows, strict=True)
            cross = sum((c * q @ a.T for c, q, a in each), torch.zeros(()))
            alone, targets = torch.eye(len(labels)).bool(), labels - 1 / task.n_outputs
            fit, _ = closed_form.ridge(kernel, targets, RIDGE.penalty, alike(labels), alone)
            scores[shot].append(float(metric((cross @ fit).softmax(1).numpy(), query.y.numpy())))
    return scores


def _whitened_summary(rows: list[tuple[int, dict[str, dict[str, float]]]]) -> dict[str, Any]:
    """Means over sets; the standard error over sets (means over seeds), and each seed's mean."""
    seeds = sorted({seed for seed, _ in rows})
    by_seed = {s: {n: v for seed, row in rows if seed == s for n, v in row.items()} for s in seeds}
    names = sorted(by_seed[seeds[0]])
    found: dict[str, Any] = {"sets": names, "hardware": hardware(), "commit": commit()}
    for shot in map(str, SHOTS):
        values = np.array([[by_seed[s][n][shot] for n in names] for s in seeds])
        each = values.mean(0)
        found[shot] = {
            "mean": round(float(values.mean()), 3),
            "standard error over sets": round(float(each.std(ddof=1) / len(each) ** 0.5), 3),
            "seeds": values.mean(1).round(3).tolist(),
        }
    return found


if __name__ == "__main__":
    main()
