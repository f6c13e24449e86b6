"""Every learner on eight medical sets, on the encoder in the box; modalities left out.

    python experiments/medical.py --out runs/medical [--learners maml] [--workers 2]

Judged on eight of the nine sets of the protocols `medshot26` (`medical_mnist` holds many modalities
and is left out): all classes, 1, 5 and 20 images a class, 40 episodes of 10 query images a class,
patients apart (also where patients are only guessed), the same episodes for all. Learners that
meta-train stand on frozen features of the packaged MobileNet at 128 pixels through a small
`Adapter`. They are taught twice, by the 2-D `cls_*` sets of all modalities but CT, histology and
skin, which are then judged; and by those of all but X-ray and MRI: 120 episodes of 2 to 7 classes
and 1 to 10 images a class, one a step, the weights the best of three meta-validations on three sets
that did not teach; with three seeds each.

Each image goes once through the encoder in the box (`medshot.encoder("mobilenet")`, 128 pixels,
five depths). A fixed linear map that is made of the teachers alone brings its 5642 features to 256:
the principal directions about the mean of each set, whitened by the covariance within classes
(shrunk by 0.3 of its mean). What is meta-trained, and what learners that descend move, is the
`Adapter` on those 256, and their own head.

Baselines stand on all features of the packaged MobileNet, on raw pixels (64 x 64, averaged to
32 x 32), and on the adapter as it is before meta-training. The bar: the same network frozen at 224
pixels, the mean of its last map, L2, logistic regression with C = 100. `stacked-probe` has the
prior without the modality (experiments/stacked_probe.py). Resumes: what is written is skipped.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import medshot
from encoded_sets import MODALITY, Encoded, encoded, episodes, loaded, probe, write_prior
from medshot.core.atomic import write_text
from medshot.core.errors import MedshotError
from medshot.core.learner import Learner
from medshot.data.episodes import EpisodeSampler, Mixture
from medshot.evaluation.episodes import EncodedEpisodes, encode
from medshot.evaluation.protocols import MEDICAL
from medshot.learners import learners
from medshot.tasks import Classification
from results import arguments, commit, hardware

FOLDS = (("CT", "histology", "skin"), ("X-ray", "MRI"))  # modalities that are judged together
SEVERAL = "medical_mnist"  # holds several modalities: never a teacher
FEATURES, MAP_IMAGES, SHRINKAGE = 256, 150, 0.3  # of the map; of each set, that many images make it
WIDTH = 8  # of the adapter's bottleneck
LENGTH = 4.0  # of features at the start
TEACH_WAYS, TEACH_SHOTS, TEACH_QUERY = (2, 7), (1, 10), 5  # of teachers' episodes: least, most
HELD_OUT = 3  # teachers that choose among the weights
SHOTS, EPISODES = (1, 5, 20), 40
SEEDS = (0, 1, 2)
JUDGED = tuple(n for n in MEDICAL if n != SEVERAL)
STEPS = 120
METRIC = "balanced accuracy"
BAR, START = "linear-probe/bar", "linear-probe/mobilenet"  # both with C = 100
PIXELS = {"size": 64, "reduce": 2}
DESCENT = {"steps": 5, "lr": 0.1}
# What differs from a learner's defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("anil", "imaml", "reptile", "prox"), DESCENT),
    **dict.fromkeys(("maml", "fomaml", "meta-sgd", "maml++", "meta-gradient"), DESCENT),
    **dict.fromkeys(("lstm-optimizer", "mlp-optimizer", "meta-lstm"), DESCENT),
}
SLOW = ("lstm-optimizer", "meta-lstm", "mlp-optimizer")
BASELINES = ("linear-probe", "lda", "nearest-centroid", "simpleshot", "baseline++", "tim")
KEYS = (
    *(BAR, START, "stacked-probe/mobilenet"),
    *(f"{head}/{on}" for on in ("mobilenet", "pixels") for head in BASELINES),
    *("linear-probe/adapter", "nearest-centroid/adapter", "finetune/adapter"),
)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    sets: dict[str, Encoded] = {name: EncodedFile(name, options.out) for name in MODALITY}
    features = {fold: mapped(fold, sets, options.out) for fold in FOLDS}
    WORK.append(Work(sets, features, _pixels(sets, options.out), options.out))
    todo = [(*each, fold) for each in _jobs(options.learners) for fold in FOLDS]
    forked = multiprocessing.get_context("fork")  # the features are in memory once
    with ProcessPoolExecutor(options.workers, mp_context=forked) as pool:
        for told in pool.map(_done, *zip(*todo, strict=True)):
            print(told, flush=True) if told else None


def _done(key: str, seed: int, fold: tuple[str, ...]) -> str:
    return WORK[0].done(key, seed, fold)


@dataclass(frozen=True, eq=False)
class Work:
    """What every process has at hand, without being sent it."""

    sets: dict[str, Encoded]
    features: dict[tuple[str, ...], dict[str, Tensor]]
    pixels: dict[str, Tensor]
    out: Path

    def done(self, key: str, seed: int, fold: tuple[str, ...]) -> str:
        """A learner by one seed on the sets of a fold: taught, judged, written; in words."""
        names = [name for name in JUDGED if MODALITY[name] in fold]
        files = {n: self.out / n / f"{key.replace('/', '@')} {seed}.json" for n in names}
        todo = {name: file for name, file in files.items() if not file.exists()}
        if not todo:
            return ""
        started, learner = time.process_time(), None
        if key.endswith("/own"):
            taught = lessons(teachers_of(fold), self.sets, self.features[fold], seed)
            learner = _trained(key, seed, *taught)
        for name, file in todo.items():
            judged = learner or self._baseline(key, MODALITY[name])
            on = self.pixels if key.endswith("/pixels") else self.features[fold]
            images = _read(key, self.sets[name], on[name])
            row = {"set": name, "learner": key, "seed": seed, "transductive": judged.transductive}
            row["shots"] = _judged(judged, images, self.sets[name])
            write_text(file, json.dumps(row | {"hardware": hardware(), "commit": commit()}) + "\n")
        return f"{key} {seed} {fold} {time.process_time() - started:.1f} s"

    def _baseline(self, key: str, kind: str) -> Learner:
        name, _, on = key.partition("/")
        if name == "stacked-probe":
            place = self.out / f"prior without {kind}"
            if not (place / "prior.json").exists():
                write_prior(place, [n for n in MODALITY if MODALITY[n] != kind], self.sets)
            return probe(place).eval()
        torch.manual_seed(0)
        return medshot.build(name, encoder=Adapter() if on == "adapter" else nn.Identity())


WORK: list[Work] = []


def _pixels(sets: dict[str, Encoded], out: Path) -> dict[str, Tensor]:
    """The features of the encoder `pixels` of the sets that are judged; kept in `out`."""
    file, encoder = out / "pixels.safetensors", medshot.encoder("pixels", **PIXELS)
    if not file.exists():
        images = {name: sets[name].dataset.at(encoder.channels, encoder.size) for name in JUDGED}
        save_file({name: encode(encoder, each) for name, each in images.items()}, file)
    return load_file(file)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of features and results")
    parser.add_argument("--learners", nargs="*", help="only these")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    return parser.parse_args()


def _jobs(only: list[str] | None) -> Iterator[tuple[str, int]]:
    """Learner/features and seed: the bar first, then what is quick, slow ones last."""
    kinds = {n: k for n, k in learners().items() if Classification in k.supports}
    trained = [f"{n}/own" for n, kind in kinds.items() if kind.trainable]
    trained.sort(key=lambda key: key.partition("/")[0] in SLOW)
    quick = [key for key in trained if key.partition("/")[0] not in SLOW]
    order = [(key, 0) for key in (*KEYS[:2], *quick, *KEYS[2:])]
    for key, seed in dict.fromkeys([*order, *((k, s) for s in SEEDS for k in trained)]):
        if not only or key.partition("/")[0] in only:
            yield key, seed


def _trained(key: str, seed: int, taught: Mixture, judged: Mixture) -> Learner:
    torch.manual_seed(seed)
    method = key.partition("/")[0]
    learner = medshot.build(method, encoder=Adapter(), **OPTIONS.get(method, {}))
    run = medshot.train(
        learner,
        taught,
        val=judged,
        steps=STEPS,
        val_every=STEPS // 3,
        val_episodes=30,
        seed=seed,
        device="cpu",
    )
    return run.learner


def _read(key: str, found: Encoded, features: Tensor) -> dict[str, Tensor]:
    """What the learner reads of images that are asked about, and of those that it learns from."""
    name, _, on = key.partition("/")
    if on == "bar":
        return dict.fromkeys(("asked", "shown"), found.bar)
    if on == "mobilenet":
        shown = found.shown if name == "stacked-probe" else found.plain
        return {"asked": found.plain, "shown": shown}
    return dict.fromkeys(("asked", "shown"), features)


@torch.no_grad()
def _judged(learner: Learner, images: dict[str, Tensor], found: Encoded) -> dict[str, Any]:
    """The balanced accuracy of each episode, by images a class; or why there is none."""
    shots: dict[str, Any] = {}
    metric = Classification.metrics[METRIC]
    for shot in SHOTS:
        sampler = episodes(found, shot)
        source = EncodedEpisodes(sampler, images["asked"], images["shown"])
        scores = []
        try:
            for i in range(EPISODES):
                support, query, task = (e := source.episode(i)).support, e.query, e.task
                output = learner.learn(support, task).predict_batches(query.x)
                p = task.decode(output.double()).numpy()
                scores.append(round(float(metric(p, query.y.numpy())), 5))
        except MedshotError as error:
            shots[str(shot)] = {"not done": str(error)}
            continue
        shots[str(shot)] = {"scores": scores, "episodes_hash": sampler.fingerprint(EPISODES)}
    return shots


class Adapter(nn.Module):
    """z -> s u / |u| with u = z + B gelu(A z): a residual bottleneck, the identity at the start.

    A is 8 x 256 and B 256 x 8, both with a bias; s is learned and starts at 4. Residual adapters:
    Rebuffi et al. 2017, arXiv:1705.08045.
    """

    def __init__(self) -> None:
        super().__init__()
        self.n_features = FEATURES
        self.down, self.up = nn.Linear(FEATURES, WIDTH), nn.Linear(WIDTH, FEATURES)
        self.log_length = nn.Parameter(torch.tensor(LENGTH).log())
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, z: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
        """The adapted features, all of one length."""
        moved = z + self.up(nn.functional.gelu(self.down(z)))
        return self.log_length.exp() * nn.functional.normalize(moved, dim=1)


class EncodedFile(Encoded):
    """A set whose features are read from their file whenever they are asked for."""

    def __init__(self, name: str, out: Path) -> None:
        self._file = out / "features" / f"{name}.safetensors"
        self.dataset = loaded(name) if self._file.exists() else encoded(name, out).dataset

    def __getattr__(self, name: str) -> Tensor:
        if name not in ("plain", "shown", "bar"):
            raise AttributeError(name)
        return load_file(self._file)[name].float()


def teachers_of(fold: Sequence[str]) -> list[str]:
    """The sets that teach where a set of the modalities `fold` is judged: all other modalities."""
    return [n for n in MODALITY if MODALITY[n] not in fold and n != SEVERAL]


def mapped(fold: Sequence[str], sets: dict[str, Encoded], out: Path) -> dict[str, Tensor]:
    """The 256 features of every image by set, by the map that the teachers make; kept in `out`."""
    file = out / f"mapped without {' '.join(fold)}.safetensors"
    if not file.exists():
        mean, directions = _map(teachers_of(fold), sets)
        found = {n: ((s.plain - mean) @ directions).half() for n, s in sets.items()}
        save_file(found, file)
    return {name: tensor.float() for name, tensor in load_file(file).items()}


def _map(
    teachers: Sequence[str], sets: dict[str, Encoded]
) -> tuple[Float[Tensor, "f"], Float[Tensor, "f g"]]:
    torch.manual_seed(0)
    picked = {n: torch.randperm(len(sets[n].dataset))[:MAP_IMAGES] for n in teachers}
    rows = {n: sets[n].plain[at] for n, at in picked.items()}
    about = torch.cat([z - z.mean(0) for z in rows.values()])
    _, _, axes = torch.svd_lowrank(about, q=FEATURES + 44, niter=2)
    axes = axes[:, :FEATURES]
    within = []
    for name, z in rows.items():
        y = sets[name].dataset.y[picked[name]]
        within += [(z[y == c] - z[y == c].mean(0)) @ axes for c in y.unique()]
    covariance = torch.cat(within).T.cov()
    ridge = SHRINKAGE * covariance.diagonal().mean() * torch.eye(FEATURES)
    values, vectors = torch.linalg.eigh(covariance + ridge)
    mean = torch.stack([z.mean(0) for z in rows.values()]).mean(0)
    return mean, axes @ (vectors * values.rsqrt()) @ vectors.T


def lessons(
    teachers: Sequence[str], sets: dict[str, Encoded], features: dict[str, Tensor], seed: int
) -> tuple[Mixture, Mixture]:
    """Episodes to learn from, and those of `HELD_OUT` other sets to choose weights by.

    Each is of one set, of 2 to 7 of its classes, 1 to 10 images a class, patients apart.
    """
    mixed = np.random.default_rng(seed).permutation(len(teachers))
    order = [teachers[int(i)] for i in mixed]
    return (
        _mixture(order[HELD_OUT:], sets, features, seed),
        _mixture(order[:HELD_OUT], sets, features, seed + 1000),
    )


def _mixture(
    names: Sequence[str], sets: dict[str, Encoded], features: dict[str, Tensor], seed: int
) -> Mixture:
    sources = []
    for name in sorted(names):
        dataset = sets[name].dataset
        most = min(TEACH_SHOTS[1], min(dataset.counts().values()) - TEACH_QUERY)
        ways = range(TEACH_WAYS[0], min(TEACH_WAYS[1], len(dataset.labels)) + 1)
        samplers = [
            EpisodeSampler(
                dataset, way=way, shot=(TEACH_SHOTS[0], most), query=TEACH_QUERY, seed=seed
            )
            for way in ways
        ]
        drawn = [EncodedEpisodes(sampler, features[name]) for sampler in samplers]
        sources.append(Mixture(drawn, seed=seed))
    return Mixture(sources, seed=seed)


if __name__ == "__main__":
    main()
