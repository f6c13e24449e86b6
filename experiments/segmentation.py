"""Masks from 1, 4 and 16 images: learners that were meta-trained on phantoms alone, and baselines.

    python experiments/segmentation.py --out runs/segmentation

Six real sets, no image of which was seen before: five of images (128 x 128, squeezed), and the
hippocampus in volumes (as they are; a network for images sees them slice by slice). An episode
draws so many support images and asks about 12 others, all whole (of the volumes, 6). "fine-tuned"
goes on from the meta-trained weights with all of them, as the U-Net does from none. Seconds are
those of a processor, of learning from the support and of all answers. One that is done is left
out, and a meta-training that was killed goes on. Baselines begin from nothing on each support; the
steps, rate and width of the U-Net are the best of four tried on white cells and vessels
(docs/log.md).
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.learner import Learner
from medshot.data.episodes import ImageEpisodes, Mixture
from medshot.evaluation.episodes import evaluate
from medshot.phantoms.masks.episodes import PhantomMasks
from medshot.training.progress import bar
from record import commit, hardware
from segmentation_onwards import Onwards
from segmentation_sets import SETS, real_set
from segmentation_slices import by_slices

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


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
        return Onwards(_trained(name, runs), TUNED)
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


def _said(row: dict[str, Any]) -> str:
    cells = [f"{s}: {c['Dice']['mean']:.3f} ({c['seconds']} s)" for s, c in row["shots"].items()]
    return ", ".join(cells)


if __name__ == "__main__":
    main()
