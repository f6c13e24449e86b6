"""Masks from few images: learners meta-trained on phantoms or on labels of images, and baselines.

    python experiments/segmentation.py --out runs/segmentation
    python experiments/segmentation.py labels --out runs/transfer

Six real sets, no image of which was seen before: five of images (128 x 128, squeezed), and the
hippocampus in volumes (as they are; a network for images sees them slice by slice). An episode
draws so many support images and asks about 12 others, all whole (of the volumes, 6). "fine-tuned"
goes on from the meta-trained weights with all of them, as the U-Net does from none. Seconds are
those of a processor, of learning from the support and of all answers. One that is done is left
out, and a meta-training that was killed goes on. Baselines begin from nothing on each support; the
steps, rate and width of the U-Net are the best of four tried on white cells and vessels
(docs/log.md).

`labels`: what meta-training on labels of whole images brings. A prototypical network (Conv4 of
width 32, images of 32 pixels) is meta-trained on the labels of the nine medical sets, and no mask.
Its encoder, laid on the grid of 128 pixels, then learns masks from 1 and 4 images, by a linear
probe and by ridge regression of its features; the same architecture from scratch does the same on
the same 6 episodes of 12 queries.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Examples
from medshot.core.learner import Learner
from medshot.core.predictor import Predictor
from medshot.core.task import Task
from medshot.data.dataset import Dataset
from medshot.data.episodes import ImageEpisodes, Mixture
from medshot.data.io.image import fit_mask, read_image, stored
from medshot.data.load import load_one
from medshot.data.tables.manifest import read_manifest
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import MEDICAL, data_root
from medshot.evaluation.statistics import paired
from medshot.nn.encoders.adapters import Hypercolumns
from medshot.phantoms.masks.task import PhantomMasks
from medshot.tasks import EVERY
from medshot.training.progress import bar
from results import arguments, commit, hardware, markdown, plus_minus

SETS = ("wbc1", "nuclei_dsb2018", "foot_ulcer", "drive", "em_membrane")
SIZE = 128
SLICE, SLICES = 64, 48  # pixels a side (the hippocampus has about 50); how many of a support
SHOTS = (1, 4, 16)
EPISODES = {"hippocampus": 4}  # 6 of the others
ASKED = {"hippocampus": 6}  # queries an episode; 12 of the others
VOLUMES = "hippocampus"
UNET = {"width": 16, "depth": 4}
SHARP = UNET | {"filters": [0.8, 2.0]}
TRAINED: dict[str, tuple[str, dict[str, Any], dict[str, Any], int]] = {
    "in-context-masks": ("in-context-masks", SHARP, {}, 2000),
    "prototypical": ("prototypical", UNET, {"distance": "mean-squared"}, 600),
    "ridge": ("ridge", SHARP, {}, 800),
    "anil": ("anil", UNET, {"lr": 0.5, "test_steps": 20}, 400),
    "fomaml": ("fomaml", UNET, {"lr": 0.3, "test_steps": 10}, 300),
}
DESCENT: dict[str, dict[str, Any]] = {
    "unet": {"lr": 0.01, "steps": 150, "batch": 4},
    "unet3d": {"lr": 0.01, "steps": 600, "batch": 1},
}
VARIANTS = {"practised": {"steps": 20}, "read": {"more": 0}}
HALVED = {"in-context-masks": 1200}  # 400 of the others
TUNED = {"what": "all", "lr": 0.003, "steps": 60, "batch": 4, "pull": 0.01}
# Of `labels`.
TAUGHT_SIZE, TAUGHT_STEPS, SHOTS_OF_LABELS = 32, 600, (1, 4)
HEADS: dict[str, dict[str, Any]] = {"linear-probe": {}, "ridge": {"penalty": 0.01}}


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.part == "labels":
        from_labels(options.only or SETS, options.out)
        return
    for name in options.only or (*SETS, VOLUMES):
        data = None
        for key in options.learners or _keys(name):
            file = options.out / name / f"{key.replace('/', '@')}.json"
            if file.exists():
                continue
            data = real_set(name) if data is None else data
            learner = _learner(key, options.out / "runs")
            row = {"set": name, "learner": key, "origin": learner.origin}
            row["shots"] = {str(shot): _cell(learner, data, shot, name) for shot in SHOTS}
            row |= {"hardware": hardware(), "commit": commit()}
            write_text(file, json.dumps(row) + "\n")
            print(f"{file}: {_said(row)}", flush=True)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__, "phantoms", "labels")
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--only", nargs="*", help="only these sets")
    parser.add_argument("--learners", nargs="*", help="only these, as the table calls them")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _keys(name: str) -> Iterator[str]:
    """What is measured on a set."""
    kind = "3d" if name == VOLUMES else ""
    yield from (f"linear-probe/filters{kind}", f"finetune/unet{kind}")
    yield from TRAINED
    yield from (f"in-context-masks/{name}" for name in VARIANTS)
    yield "prototypical/fine-tuned"


def _learner(key: str, runs: Path) -> Learner:
    torch.manual_seed(0)
    if key in TRAINED:
        return _trained(key, runs)
    name, _, on = key.partition("/")
    if on in VARIANTS:
        learner: Any = _trained(name, runs)
        for option, value in VARIANTS[on].items():
            setattr(learner, option, value)
        return learner
    if on == "fine-tuned":
        return ContinuedLearner(_trained(name, runs), TUNED)
    encoder = medshot.encoder(on, **({"width": 16, "depth": 3} if on == "unet" else {}))
    return medshot.build(name, encoder=encoder, **DESCENT.get(on, {}))


def _trained(key: str, runs: Path) -> Learner:
    """Meta-trained on phantoms with 1, 2, 4 and 8 support images."""
    name, form, options, steps = TRAINED[key]
    out = runs / key
    if (out / "done").exists():
        return medshot.load_run(out).learner
    taught = [PhantomMasks(shot=s, query=3, seed=s) for s in (1, 2, 4, 8)]
    torch.manual_seed(0)
    run = medshot.train(
        medshot.build(name, encoder=medshot.encoder("unet", **form), **options),
        Mixture(taught, seed=0),
        val=PhantomMasks(shot=2, query=3, seed=99),
        out=out,
        steps=steps,
        val_every=500,
        val_episodes=40,
        channels_last=True,
        halve_every=HALVED.get(key, 400),
        watch=bar,
    )
    write_text(out / "done", "")
    return run.learner


def _cell(learner: Learner, data: Any, shot: int, name: str) -> dict[str, Any]:
    """Every episode's Dice, their mean with its interval, and the processor's seconds."""
    source: Any = ImageEpisodes(data, shot=shot, query=ASKED.get(name, 12), seed=5)
    if data.x.ndim == 5 and learner.encoder.dims == 2:
        learner = by_slices(learner)
    started = time.process_time()
    episodes = EPISODES.get(name, 6)
    found = evaluate(learner, source, episodes=episodes)
    seconds = (time.process_time() - started) / episodes
    scores = found.scores["Dice"]
    cell: dict[str, Any] = {name: vars(found.interval(name)) for name in found.scores}
    cell["scores"] = np.round(scores, 4).tolist()
    return cell | {"seconds": round(seconds, 3), "fingerprint": found.episodes["fingerprint"]}


def real_set(name: str) -> Dataset:
    """One of `SETS`, whole: 3 x 128 x 128; or the volumes of the hippocampus as they are."""
    if name == "hippocampus":
        return load_one(data_root() / "seg3d_hippocampus", task="segmentation-3d")
    folder = data_root() / f"seg_{name}"
    if name == "nuclei_dsb2018":
        return _nuclei(folder)
    return load_one(folder, 3, SIZE, "segmentation")


def _nuclei(folder: Path) -> Dataset:
    """Its masks number the nuclei of an image: every nucleus is foreground."""
    form = ImagePreprocessing(3, SIZE)
    rows = read_manifest(folder, target="mask")
    masks = [(stored(row.mask) > 0).astype(np.uint8) for row in rows if row.mask]
    x = torch.from_numpy(np.stack([form.fit(read_image(row.path)) for row in rows]))
    y = torch.from_numpy(np.stack([fit_mask(mask, SIZE) for mask in masks]))
    groups = torch.full((len(rows),), -1)
    labels = ("background", "nucleus")
    said = f"{len(rows)} images, foreground"
    return Dataset(folder.name, x, y, labels, groups, form, said, task=medshot.Segmentation(2))


class ContinuedLearner(Learner):
    """`learner`, then `medshot.finetune` with `settings`: no part of the support is left out."""

    supports = EVERY

    def __init__(self, learner: Learner, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.learner, self.encoder, self.settings = learner, learner.encoder, settings
        self.origin = learner.origin

    def check(self, task: Task) -> None:
        """Whatever `learner` can."""
        self.learner.check(task)

    def learn(self, support: Examples, task: Task) -> Predictor:
        """Adapt, and then descend."""
        return medshot.finetune(
            self.learner.learn(support, task), support, task=task, **self.settings
        )


def by_slices(learner: Learner) -> Learner:
    """`learner`, for volumes."""
    other: Any = copy.deepcopy(learner)
    for module in other.modules():
        if hasattr(module, "size") and hasattr(module, "channels"):
            module.size = SLICE
    return SliceLearner(other)


class SliceLearner(Learner):
    """A learner from at most `SLICES` axial slices of the support, evenly, each answered alone."""

    supports = EVERY

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.learner, self.encoder = learner, nn.Identity()

    def check(self, task: Task) -> None:
        """Whatever the learner for images can."""

    def learn(self, support: Examples, task: Task) -> Predictor:
        """The predictor of slices, for volumes."""
        x, y = _slices(support.x), support.y.flatten(0, 1)
        known = ((y >= 0).flatten(1).any(1)).nonzero().flatten()
        chosen = known[torch.linspace(0, len(known) - 1, min(SLICES, len(known))).round().long()]
        masks = F.interpolate(y[chosen, None].float(), (SLICE, SLICE), mode="nearest-exact")
        return SlicePredictor(self.learner.learn(Examples(x[chosen], masks[:, 0].long()), task))


class SlicePredictor(Predictor):
    """Answers each slice, and lays the answers on each other."""

    def __init__(self, flat: Predictor) -> None:
        super().__init__()
        self.flat = flat

    def forward(self, x: Tensor) -> Tensor:
        """Volumes `n 1 z h w` to scores `n k z h w`."""
        answers = torch.cat([self.flat(part) for part in _slices(x).split(16)])
        wide = F.interpolate(answers, x.shape[3:], mode="bilinear")
        return wide.unflatten(0, (len(x), x.shape[2])).transpose(1, 2)


def _slices(x: Tensor) -> Tensor:
    flat = x.transpose(1, 2).flatten(0, 1)
    return F.interpolate(flat, (SLICE, SLICE), mode="bilinear").expand(-1, 3, -1, -1)


def _said(row: dict[str, Any]) -> str:
    cells = [f"{s}: {c['Dice']['mean']:.3f} ({c['seconds']} s)" for s, c in row["shots"].items()]
    return ", ".join(cells)


def from_labels(names: Sequence[str], out: Path) -> None:
    """Judge the encoder that labels taught, and the same from scratch, on the sets `names`."""
    encoders = {"meta-trained on labels": _taught(out / "run"), "from scratch": _conv4()}
    rows = []
    for name in names:
        data = real_set(name)
        for how, settings in HEADS.items():
            made = {
                key: medshot.build(how, encoder=_on_grid(encoder), **settings)
                for key, encoder in encoders.items()
            }
            rows += [_row(name, how, shot, made, data) for shot in SHOTS_OF_LABELS]
            print(json.dumps(rows[-2:]), flush=True)
            about = {"hardware": hardware(), "commit": commit(), "rows": rows}
            write_text(out / "result.json", json.dumps(about, indent=2) + "\n")


def _taught(out: Path) -> medshot.Encoder:
    torch.manual_seed(0)
    run = medshot.train(
        medshot.build("prototypical", encoder=_conv4()),
        [medshot.load(data_root() / f"cls_{name}").at(3, TAUGHT_SIZE) for name in MEDICAL],
        out=out,
        way=7,
        shot=5,
        query=5,
        steps=TAUGHT_STEPS,
        val_every=TAUGHT_STEPS // 3,
        val_episodes=40,
        watch=bar,
    )
    encoder: Any = run.learner.encoder
    return encoder


def _conv4() -> medshot.Encoder:
    torch.manual_seed(0)
    return medshot.encoder("conv4", size=TAUGHT_SIZE, width=32, halve="stride")


def _on_grid(encoder: medshot.Encoder) -> Hypercolumns:
    return Hypercolumns(encoder=copy.deepcopy(encoder))


def _row(name: str, how: str, shot: int, made: dict[str, Learner], data: Any) -> dict[str, Any]:
    source = ImageEpisodes(data, shot=shot, query=12, seed=5)
    found = {key: evaluate(each, source, episodes=6) for key, each in made.items()}
    first, second = (result.scores["Dice"] for result in found.values())
    row: dict[str, Any] = {"set": name, "how": how, "shot": shot}
    row |= {key: vars(result.interval("Dice")) for key, result in found.items()}
    return row | {"difference": vars(paired(first, second))}


COLUMNS = ("set", "shot", "learner", "mean", "low", "high", "n", "mm", "seconds", "scores")
HEADING = (
    "Dice ± half of its 95 % interval over episodes, of volumes the mean distance of borders "
    "(CPU seconds)"
)
DISTANCE = "mean surface distance (mm)"


def gather(source: Path, kept: Path) -> None:
    """Keep every number of a run with its interval as one CSV."""
    lines = [",".join((*COLUMNS, "fingerprint", "origin", "hardware", "commit"))]
    for row in (json.loads(file.read_text()) for file in sorted(source.glob("*/*.json"))):
        for shot, cell in row["shots"].items():
            dice = cell["Dice"]
            numbers = [f"{dice[part]:.4f}" for part in ("mean", "low", "high")]
            scores = " ".join(map(str, cell["scores"]))
            mm = f"{cell[DISTANCE]['mean']:.2f}" if DISTANCE in cell else ""
            where = [row["set"], shot, row["learner"]]
            values = [*where, *numbers, dice["n"], mm, cell["seconds"], scores]
            about = [cell["fingerprint"], row["origin"], row["hardware"], row["commit"]]
            lines.append(",".join(f'"{value}"' for value in (*values, *about)))
    write_text(kept, "\n".join(lines) + "\n")


def table(rows: list[dict[str, str]]) -> str:
    """A table for each number of images, of the CSV that is kept."""
    text = "\n".join(_by_learner(rows, shot) for shot in SHOTS)
    made = sorted({f"{row['hardware']}, commit `{row['commit']}`" for row in rows})
    return f"{text}\n{'; '.join(made)}\n"


def _by_learner(rows: list[dict[str, str]], shot: int) -> str:
    """Learners by sets, from so many images; the best of each set in bold."""
    cells = {(r["learner"], r["set"]): r for r in rows if int(r["shot"]) == shot}
    sets = [name for name in (*SETS, VOLUMES) if any(s == name for _, s in cells)]
    best = {s: max(float(r["mean"]) for (_, o), r in cells.items() if o == s) for s in sets}
    lines = []
    for name in sorted({learner.removesuffix("3d") for learner, _ in cells}):
        found = [cells.get((name, s)) or cells.get((f"{name}3d", s)) for s in sets]
        lines.append([name, *(_text(r, best[s]) for r, s in zip(found, sets, strict=True))])
    return f"**{shot} image(s).** {HEADING}\n\n{markdown(['learner', *sets], lines)}"


def _text(row: dict[str, str] | None, best: float) -> str:
    if row is None:
        return ""
    mean, half = float(row["mean"]), (float(row["high"]) - float(row["low"])) / 2
    shown = f"{100 * mean:.1f}"
    shown = f"**{shown}**" if mean == best else shown
    mm = f", {row['mm']} mm" if row["mm"] not in ("", "nan") else ""
    return f"{shown} ± {100 * half:.1f}{mm} ({float(row['seconds']):.1f})"


def table_of_labels(found: dict[str, Any]) -> str:
    """Dice of both encoders and the paired difference: a row a set, number of images and head."""
    sides = ("meta-trained on labels", "from scratch", "difference")
    rows = []
    for row in found["rows"]:
        cells = [plus_minus(row[side], "+" if side == "difference" else "") for side in sides]
        rows.append([row["set"], row["shot"], f"`{row['how']}`", *cells])
    about = f"{found['hardware']}, commit `{found['commit']}`"
    return f"{markdown(['set', 'images', 'how', *sides], rows)}\n{about}\n"


if __name__ == "__main__":
    main()
