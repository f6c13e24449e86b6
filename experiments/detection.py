"""Boxes from 1, 5 and 10 images: blood cells, and nuclei under two stains.

    python experiments/detection.py --out runs/detection [--episodes 4] [--to docs]

Data: det_bccd and seg_nuclei_dsb2018 below $MEDSHOT_DATA. Of the blood cells, the support is drawn
from the official training part and the query is the whole official test part; of the nuclei, both
are drawn, of one stain. The same images for all learners; nothing is meta-trained. Intervals over
episodes are Student's. Without --out, the table is made again from the result that is kept.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student

from medshot.core.files import write_text
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.load import load_one
from medshot.data.sample_images import ImageEpisodes
from medshot.learners import build
from medshot.nn.encoder import encoder
from pages import fill
from record import commit, hardware

ROOT = Path(__file__).parents[1]
SHOTS = (1, 5, 10)
ASKED = 30  # nuclei images an episode
LEARNERS = {
    "nearest-centroid": ("filters", {}),
    "prototypical": ("unet", {}),
    "linear-probe": ("filters", {}),
    "finetune": ("unet", {"lr": 0.01, "steps": 100, "batch": 4}),
    "blob": ("intensities", {}),
    "template": ("intensities", {}),
}
ENCODERS = {"unet": {"width": 8, "depth": 4}}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="folder of the result")
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.to / "results" / "detection.json"
    if options.out:
        torch.set_num_threads(1)
        found = measure(options.episodes)
        write_text(options.out / "result.json", json.dumps(found, indent=1) + "\n")
        write_text(kept, json.dumps(found, indent=1) + "\n")
    fill(options.to / "results.md", "detection", table(json.loads(kept.read_text())))


def measure(episodes: int) -> dict[str, Any]:
    """Every metric of every learner in every episode."""
    rows: list[dict[str, Any]] = []
    for name, dataset in datasets().items():
        for shot in SHOTS:
            for i, (support, query) in enumerate(draws(dataset, shot, episodes)):
                for learner in LEARNERS:
                    torch.manual_seed(i)
                    made = built(learner)
                    begun = time.process_time()
                    scores = judged(made, support, query)
                    seconds = round(time.process_time() - begun, 2)
                    row = {"set": name, "shot": shot, "episode": i, "learner": learner}
                    rows.append({**row, **scores, "cpu_seconds": seconds})
                    print(rows[-1], flush=True)
    about = {"hashes": {name: d.hash for name, d in datasets().items()}, "episodes": episodes}
    return {"rows": rows, **about, "hardware": hardware(), "commit": commit()}


def datasets() -> dict[str, Dataset]:
    """Blood cells, and the nuclei of each stain, where each image stands for itself."""
    root = Path(os.environ["MEDSHOT_DATA"])
    nuclei = load_one(root / "seg_nuclei_dsb2018", task="detection")
    found = {"blood cells": load_one(root / "det_bccd", task="detection")}
    for stain in sorted({row.patient for row in nuclei.rows}):
        which = [i for i, row in enumerate(nuclei.rows) if row.patient == stain]
        part = nuclei.subset(torch.tensor(which))
        found[f"nuclei, {stain.replace('_', ' ')}"] = replace(
            part, groups=torch.full_like(part.groups, -1)
        )
    return found


def draws(dataset: Dataset, shot: int, episodes: int) -> Iterator[tuple[Dataset, Dataset]]:
    """Support and query of each episode; every class is on the support."""
    split = np.array(dataset.split)
    if (split == "test").any():
        train, test = (
            dataset.subset(torch.from_numpy(np.flatnonzero(split == s))) for s in ("train", "test")
        )
        sampler = ImageEpisodes(train, shot=shot, query=1)
        for i in range(episodes):
            yield train.subset(torch.from_numpy(sampler.draw(i)[0])), test
        return
    sampler = ImageEpisodes(dataset, shot=shot, query=ASKED)
    for i in range(episodes):
        support, query = (dataset.subset(torch.from_numpy(part)) for part in sampler.draw(i))
        yield support, query


def built(learner: str) -> Learner:
    name, options = LEARNERS[learner]
    return build(learner, encoder=encoder(name, **ENCODERS.get(name, {})), **options)


@torch.no_grad()
def judged(learner: Learner, support: Dataset, query: Dataset) -> dict[str, float]:
    """Adapt to `support` and score the answers to `query`."""
    task = support.task()
    predictor = learner.adapt(support)
    parts = torch.arange(len(query)).split(16)
    decoded = torch.cat([task.decode(predictor(query.examples(p).x).double()) for p in parts])
    evidence = task.evidence(decoded.numpy(), query.y.numpy())
    return {metric: round(score(*evidence), 5) for metric, score in task.metrics.items()}


def table(found: dict[str, Any]) -> str:
    """A learner a row, a set and number of images a column: AP50, and FROC below it."""
    rows, sets = found["rows"], list(dict.fromkeys(row["set"] for row in found["rows"]))
    lines = []
    for metric in ("AP50", "FROC"):
        heads = [f"{name}, {shot}" for name in sets for shot in SHOTS]
        lines += [f"| {metric} | {' | '.join(heads)} | CPU s |", "|---" * (len(heads) + 2) + "|"]
        for learner, (encoder_name, _) in LEARNERS.items():
            own = [row for row in rows if row["learner"] == learner]
            cells = [
                _cell([r[metric] for r in own if (r["set"], r["shot"]) == (name, shot)])
                for name in sets
                for shot in SHOTS
            ]
            seconds = f"{np.mean([row['cpu_seconds'] for row in own]):.0f}"
            lines.append(f"| {learner}, {encoder_name} | {' | '.join(cells)} | {seconds} |")
        lines.append("")
    about = f"{found['episodes']} episodes; {found['hardware']}; commit `{found['commit']}`."
    return "\n".join([*lines, about]) + "\n"


def _cell(values: list[float]) -> str:
    n, percent = len(values), 100 * np.array(values)
    half = student.ppf(0.975, n - 1) * percent.std(ddof=1) / np.sqrt(n) if n > 1 else float("nan")
    return f"{percent.mean():.0f} ± {half:.0f}"


if __name__ == "__main__":
    main()
