"""What meta-training of the encoder is worth under the head in the box: whitened, five depths.

    python experiments/metatrain_box_whitened.py --from "runs/metatrain_box/distill, open sets" \
        --features runs/stacked --out runs/metatrain_whitened

The kernels that `metatrain_box.py` learned without a fold, on the sets of that fold: the features
of five depths as `stacked-probe` reads them (support images and their mirror images averaged,
whitened by the covariance within the classes of the sets of other modalities, directions about the
support's center), ridge regression with its penalty; against the same on the encoder as it is, on
the same episodes. What comes before block 9 does not move, and is computed once. --features: the
folder of `stacked_probe.py`. Prints points of balanced accuracy, and writes them. Resumes.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

import medshot
from encoded_sets import MODALITY, SHOTS, Encoded, encoded, episodes, factors_of, sizes
from medshot.core.atomic import write_text
from medshot.evaluation.episodes import EncodedEpisodes
from medshot.inner import closed_form
from medshot.learners.closed_form.stacked_probe import MEMBERS, StackedProbe, alike
from medshot.nn.encoders.adapters import directions, shortened
from medshot.nn.encoders.mobilenet import _deviation, unit
from medshot.tasks import Classification, one_hot
from metatrain_box import FOLDS, SEEDS
from metatrain_box_learn import as_maps
from metatrain_box_maps import GROUPS, Layer, layers_of
from results import arguments, commit, hardware

EPISODES = {1: 60, 5: 40, 20: 20}
RIDGE = MEMBERS[1]
FIRST = 4  # blocks of features that do not move: mean and deviation after blocks 5 and 7
READ = ("block9_pw", "block11_pw", "block12_pw")


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    sets = {name: encoded(name, options.features) for name in MODALITY}
    trunk = options.out / "trunk"
    encoder: Any = medshot.encoder("mobilenet")
    layers = layers_of(encoder)
    cut = list(layers).index("block9_dw")
    for name, found in sets.items():
        _trunk(encoder, list(layers.values())[:cut], found, trunk / f"{name}.npy")
    rows = []
    for seed in options.seeds:
        for fold in FOLDS:
            file = options.out / f"{' and '.join(fold)}, seed {seed}.json"
            if not file.exists():
                kernels = load_file(options.source / file.with_suffix(".safetensors").name)
                tail = _with(dict(list(layers.items())[cut:]), list(kernels.values()))
                moved = {n: _moved(tail, s, trunk / f"{n}.npy") for n, s in sets.items()}
                names = [n for group in fold for n in GROUPS[group] if n in MODALITY]
                made = {n: _differences(n, sets, moved) for n in names}
                write_text(file, json.dumps(made) + "\n")
                print(file.stem, made, flush=True)
            rows.append((seed, json.loads(file.read_text())))
    write_text(options.out / "box_whitened.json", json.dumps(_summary(rows), indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    return parser.parse_args()


@torch.inference_mode()
def _trunk(encoder: Any, head: list[Layer], found: Encoded, file: Path) -> None:
    """The maps after block 8 of a set's images and their mirror images, kept in `file`."""
    if file.exists():
        return
    images, rows = found.dataset.at(3, 128), []
    for part in torch.arange(len(images)).split(16):
        x = images.examples(part).x
        z = encoder.scaled(torch.cat([x, x.flip(-1)])).contiguous(memory_format=torch.channels_last)
        for layer in head:
            z = layer(z)
        rows.append(z.permute(0, 2, 3, 1).half().unflatten(0, (2, len(part))).numpy())
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.concatenate(rows, 1))


def _with(tail: dict[str, Layer], kernels: list[Tensor]) -> dict[str, Layer]:
    left = list(kernels)
    return {
        name: layer._replace(weight=layer.weight + left.pop(0)) if layer.groups == 1 else layer
        for name, layer in tail.items()
    }


@torch.inference_mode()
def _moved(tail: dict[str, Layer], found: Encoded, file: Path) -> tuple[Tensor, Tensor]:
    """A set's features for queries and for supports, by the moved kernels."""
    maps, both = np.load(file, mmap_mode="r"), []
    for variant in maps:
        rows = []
        for part in np.array_split(variant, -(-len(variant) // 32)):
            z, read = as_maps(part), []
            for name, layer in tail.items():
                z = layer(z)
                if name in READ:
                    flat = z.flatten(2)
                    read += [unit(flat.mean(2)), unit(_deviation(flat))]
            rows.append(torch.cat(read, 1))
        both.append(torch.cat(rows))
    widths = list(sizes())
    first, rest = sum(widths[:FIRST]), widths[-1]
    last = both[0], (both[0] + both[1]) / 2
    old = found.plain, found.shown
    plain, shown = (
        torch.cat([o[:, :first], new, o[:, -rest:]], 1) for o, new in zip(old, last, strict=True)
    )
    return plain, shown


def _differences(
    name: str, sets: dict[str, Encoded], moved: dict[str, tuple[Tensor, Tensor]]
) -> dict[int, float]:
    """Points of balanced accuracy that the moved kernels are ahead on a set, by shots."""
    others = [n for n in MODALITY if MODALITY[n] != MODALITY[name]]
    new = {n: _as_set(sets[n], *moved[n]) for n in (*others, name)}
    found = {}
    before, after = (_scores(each[name], factors_of(others, each)) for each in (sets, new))
    for shot in SHOTS:
        found[shot] = round(100 * float(np.mean(np.subtract(after[shot], before[shot]))), 3)
    return found


def _as_set(old: Encoded, plain: Tensor, shown: Tensor) -> Encoded:
    return Encoded(old.dataset, {"plain": plain, "shown": shown, "bar": old.bar})


def _scores(found: Encoded, factors: Tensor) -> dict[int, list[float]]:
    shown, plain = (shortened(z, factors, sizes()) for z in (found.shown, found.plain))
    learner = StackedProbe(torch.nn.Identity())
    learner.known = True
    counts = learner.block_weights(len(sizes()))[MEMBERS.index(RIDGE)]
    metric, scores = Classification.metrics["balanced accuracy"], {}
    for shot in SHOTS:
        drawn = EncodedEpisodes(episodes(found, shot), plain, shown)
        scores[shot] = []
        for i in range(EPISODES[shot]):
            support, query, task = (e := drawn.episode(i)).support, e.query, e.task
            labels = one_hot(support.y, task.n_outputs, like=shown)
            means = labels.T @ support.x / labels.sum(0)[:, None]
            rows, asked = (directions(z, means.mean(0), sizes()) for z in (support.x, query.x))
            kernel = sum(
                (c * a @ a.T for c, a in zip(counts, rows, strict=True)), 0 * rows[0][:, :1]
            )
            cross = sum((c * q @ a.T for c, q, a in zip(counts, asked, rows, strict=True)), 0)
            alone, targets = torch.eye(len(labels)).bool(), labels - 1 / task.n_outputs
            fit, _ = closed_form.ridge(kernel, targets, RIDGE.penalty, alike(labels), alone)
            scores[shot].append(float(metric((cross @ fit).softmax(1).numpy(), query.y.numpy())))
    return scores


def _summary(rows: list[tuple[int, dict[str, dict[str, float]]]]) -> dict[str, Any]:
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
