"""Boxes from 1, 5 and 10 images: blood cells, nuclei under two stains, and boxes around masks.

    python experiments/detection.py --out runs/detection [--episodes 6] [--learners A B] [--to docs]

Data: det_bccd, seg_nuclei_dsb2018 and the sets of `MASKS` below $MEDSHOT_DATA. Of the blood cells,
the support is drawn from the official training part and the query, 16 images, from the official
test part; of the nuclei, both are drawn, of one stain. Of the sets with masks, a box is drawn
around each connected component of the foreground, and 8 images are the query. The same images for
all learners; nothing is meta-trained. Intervals over episodes are Student's. A run that was stopped
goes on where it was, and rows that are kept are not measured again. Without --out, the table is
made again from the result that is kept.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from numpy import ndarray
from scipy import ndimage
from scipy.stats import t as student

from medshot.core.atomic import write_text
from medshot.core.learner import Learner
from medshot.data.dataset import Dataset
from medshot.data.episodes import ImageEpisodes
from medshot.data.load import load_one
from medshot.learners import build
from medshot.nn.encoder import encoder
from medshot.tasks import Detection
from medshot.tasks.boxes import WRITTEN, ap50, ranked
from results import arguments, commit, fill

MASKS = {  # boxes around masks; the settings of `box-probe` were chosen on all but the polyps
    "tissue nuclei": "seg_nuclei_monuseg",
    "white cells": "seg_wbc1",
    "wounds": "seg_foot_ulcer",
    "optic discs": "seg_optic_disc_drishti",
    "polyps": "seg_polyp_kvasir",
}
ON_MASKS = ("blob", "template", "thresholds", "linear-probe", "box-probe")
LEAST = 2e-4  # of the image: smaller components are no objects
OURS, BASELINES = "box-probe", ("template", "thresholds", "linear-probe")  # of differences
ROOT = Path(__file__).parents[1]
SHOTS = (1, 5, 10)
ASKED, ASKED_OF_MASKS = 16, 8  # images of a query
LEARNERS = {
    "nearest-centroid": ("filters", {}),
    "prototypical": ("unet", {}),
    "linear-probe": ("filters", {}),
    "finetune": ("unet", {"lr": 0.01, "steps": 100, "batch": 4}),
    "blob": ("intensities", {}),
    "template": ("intensities", {}),
    "thresholds": ("large intensities", {}),
    "box-probe": ("mobilenet-maps", {}),
}
ENCODERS = {  # by name: its part where that is another, and options
    "unet": ("unet", {"width": 8, "depth": 4}),
    "large intensities": ("intensities", {"size": 256}),
}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, help="folder of the result")
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--learners", nargs="*", default=list(LEARNERS), choices=list(LEARNERS))
    parser.add_argument("--to", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    kept = options.to / "results" / "detection.json"
    if options.out:
        torch.set_num_threads(1)
        before = json.loads(kept.read_text())
        rows = options.out / "rows.jsonl"
        if not rows.is_file():
            write_text(rows, "".join(json.dumps(row) + "\n" for row in before["rows"]))
        try:
            measure(rows, options.episodes, options.learners)
        finally:
            found = [json.loads(line) for line in rows.read_text().splitlines()]
            write_text(kept, json.dumps({**before, "rows": found}, indent=1) + "\n")
    fill(options.to / "results.md", "detection", table(json.loads(kept.read_text())))


def measure(file: Path, episodes: int, learners: Sequence[str]) -> None:
    """Add to `file` every metric of `learners` in every episode that is not there yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    done = [_place(json.loads(line)) for line in file.read_text().splitlines()]
    found, made_at = datasets(), commit()  # of the code that is loaded
    for i, name, shot in product(range(episodes), found, SHOTS):
        support, query = drawn(found[name], shot, i)
        for learner in learners:
            if name in MASKS and learner not in ON_MASKS:
                continue
            row = {"set": name, "shot": shot, "episode": i, "learner": learner}
            if _place(row) in done:
                continue
            torch.manual_seed(i)
            made, begun = built(learner), time.process_time()
            row |= judged(made, support, query)
            row["cpu_seconds"] = round(time.process_time() - begun, 2)
            row["commit"] = made_at
            with file.open("a") as rows:
                rows.write(json.dumps(row) + "\n")


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("set", "shot", "episode", "learner"))


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
    return found | {name: around_masks(root / folder) for name, folder in MASKS.items()}


def around_masks(folder: Path) -> Dataset:
    """Boxes around the connected components of the masks of `folder`, images of 256 pixels."""
    masks = load_one(folder, task="segmentation", size=256)
    found = []
    for mask in masks.y.numpy() > 0:
        labels = np.zeros(mask.shape, np.int32)
        n = int(ndimage.label(mask, np.ones((3, 3)), output=labels))  # type: ignore[arg-type]
        large = np.bincount(labels.ravel(), minlength=n + 1)[1:] >= LEAST * mask.size
        places = [
            p for p, is_object in zip(ndimage.find_objects(labels), large, strict=True) if is_object
        ]
        found.append([[a.start, d.start, a.stop, d.stop] for d, a in places])
    y = torch.full((len(found), max(map(len, found)), 5), -1.0)
    for row, boxes in zip(y, found, strict=True):
        row[: len(boxes), :4] = torch.tensor(boxes).view(-1, 4) / masks.y.shape[-1]
        row[: len(boxes), 4] = 0
    return Dataset(
        name=masks.name,
        x=masks.x,
        y=y,
        labels=("object",),
        groups=torch.full((len(y),), -1),
        preprocessing=masks.preprocessing,
        hash=masks.hash,
        rows=masks.rows,
        task=Detection.of(1),
    )


def drawn(dataset: Dataset, shot: int, i: int) -> tuple[Dataset, Dataset]:
    """Support and query of episode `i`; every class is on the support."""
    split = np.array(dataset.split)
    if not (split == "test").any():
        asked = ASKED_OF_MASKS if dataset.labels == ("object",) else ASKED
        chosen = ImageEpisodes(dataset, shot=shot, query=asked).draw(i)
        support, query = (dataset.subset(torch.from_numpy(part)) for part in chosen)
        return support, query
    train, test = (
        dataset.subset(torch.from_numpy(np.flatnonzero(split == s))) for s in ("train", "test")
    )
    chosen = ImageEpisodes(train, shot=shot, query=1).draw(i)[0]
    asked = np.random.default_rng(i).choice(len(test), ASKED, replace=False)
    return train.subset(torch.from_numpy(chosen)), test.subset(torch.from_numpy(np.sort(asked)))


def built(learner: str) -> Learner:
    name, options = LEARNERS[learner]
    part, form = ENCODERS.get(name, (name, {}))
    return build(learner, encoder=encoder(part, **form), **options)


@torch.no_grad()
def judged(learner: Learner, support: Dataset, query: Dataset) -> dict[str, float]:
    """Adapt to `support` and score the answers to `query`."""
    task = support.task
    predictor = learner.adapt(support)
    query = query.at(3, getattr(learner.encoder, "size", None))
    parts = torch.arange(len(query)).split(16)
    decoded = torch.cat([task.decode(predictor(query.examples(p).x).double()) for p in parts])
    evidence = task.metric_inputs(decoded.numpy(), query.y.numpy())
    scores, labels, over, centred, true, strict = evidence
    written = np.where(scores >= WRITTEN, labels, -1)
    found = {metric: score(*evidence) for metric, score in task.metrics.items()}
    found["AP50 written"] = ap50(scores, written, over, centred, true, strict)
    found["F1 best"], found["S1"] = np.mean(
        [
            (best_f1(hit, n), sensitivity(centre, n, len(true)))
            for (hit, n), (centre, _) in zip(
                ranked(scores, labels, over, true),
                ranked(scores, labels, centred, true),
                strict=True,
            )
        ],
        axis=0,
    )
    return {metric: round(float(value), 5) for metric, value in found.items()}


def best_f1(hit: Bool[ndarray, "c"], total: int) -> float:
    """F1 at the threshold that is best on the images of the query themselves."""
    return max(2 * np.cumsum(hit) / (np.arange(1, len(hit) + 1) + total), default=0.0)


def sensitivity(hit: Bool[ndarray, "c"], total: int, images: int) -> float:
    """Share of the boxes that is found at one false positive an image."""
    return hit[: int(np.searchsorted(np.cumsum(~hit), images, side="right"))].sum() / total


def table(found: dict[str, Any]) -> str:
    """A learner a row, a set and number of images a column: AP50, AP, and FROC; masks below."""
    rows = found["rows"]
    masks = [row for row in rows if row["set"] in MASKS]
    lines = [*_over_sets(rows), ""]
    for part in ([row for row in rows if row["set"] not in MASKS], masks):
        for metric in ("AP50", "AP", "FROC", "S1"):
            if measured := [row for row in part if metric in row]:
                lines += [*_of_metric(metric, measured), ""]
    counts = Counter((row["set"], row["shot"], row["learner"]) for row in rows).values()
    episodes = " to ".join(map(str, sorted({min(counts), max(counts)})))
    commits = sorted({row.get("commit", found["commit"]) for row in rows})
    about = f"{episodes} episodes a cell; {found['hardware']}; commits `{'`, `'.join(commits)}`."
    return "\n".join([*lines, about]) + "\n"


def _over_sets(rows: list[dict[str, Any]]) -> list[str]:
    """Means over the sets on which a learner was measured at each number of images, of each set's.

    The last two columns are what is lost by leaving out scores below `WRITTEN` (AP50), and by the
    threshold that was chosen on the support, against the best on the query (F1).
    """
    names = ("AP50", "AP", "S1", "AP50 not written", "F1 below its best")
    lines = [f"| mean over sets | images | sets | {' | '.join(names)} |", "|---" * 8 + "|"]
    for learner, shot in product(LEARNERS, SHOTS):
        own = [r for r in rows if r["learner"] == learner and r["shot"] == shot and "S1" in r]
        sets = sorted({row["set"] for row in own})
        if not sets:
            continue
        found = {name: [] for name in names}
        for each in sets:
            of_set = [row for row in own if row["set"] == each]
            for name, by in zip(
                names,
                (
                    lambda r: r["AP50"],
                    lambda r: r["AP"],
                    lambda r: r["S1"],
                    lambda r: r["AP50"] - r["AP50 written"],
                    lambda r: r["F1 best"] - r["F1"],
                ),
                strict=True,
            ):
                found[name].append(float(np.mean([by(row) for row in of_set])))
        cells = [_cell(values) for values in found.values()]
        lines.append(f"| {learner} | {shot} | {len(sets)} | {' | '.join(cells)} |")
    return lines + [_difference(rows, other, shot) for other, shot in product(BASELINES, SHOTS)]


def _difference(rows: list[dict[str, Any]], other: str, shot: int) -> str:
    """`OURS` minus another learner in the same episodes: mean over sets, of each set's mean."""
    cells, sets = [], set()
    of = {name: {_place(r)[:3]: r for r in rows if r["learner"] == name} for name in (OURS, other)}
    for metric in ("AP50", "AP", "S1"):
        by = {}
        for place in of[OURS].keys() & of[other].keys():
            ours, theirs = of[OURS][place], of[other][place]
            if place[1] == shot and metric in theirs:
                by.setdefault(place[0], []).append(ours[metric] - theirs[metric])
        cells.append(_cell([float(np.mean(each)) for each in by.values()]))
        sets |= by.keys()
    return f"| {OURS} minus {other} | {shot} | {len(sets)} | {' | '.join(cells)} | | |"


def _of_metric(metric: str, rows: list[dict[str, Any]]) -> list[str]:
    places = list(dict.fromkeys((row["set"], row["shot"]) for row in rows))
    heads = [f"{name}, {shot}" for name, shot in places]
    lines = [f"| {metric} | {' | '.join(heads)} | CPU s |", "|---" * (len(heads) + 2) + "|"]
    for learner, (encoder_name, _) in LEARNERS.items():
        if not (own := [row for row in rows if row["learner"] == learner]):
            continue
        cells = [_cell([r[metric] for r in own if (r["set"], r["shot"]) == at]) for at in places]
        seconds = f"{np.mean([row['cpu_seconds'] for row in own]):.0f}"
        lines.append(f"| {learner}, {encoder_name} | {' | '.join(cells)} | {seconds} |")
    return lines


def _cell(values: list[float]) -> str:
    n, percent = len(values), 100 * np.array(values)
    if n < 2:
        return f"{percent[0]:.0f}" if n else ""
    half = student.ppf(0.975, n - 1) * percent.std(ddof=1) / np.sqrt(n)
    return f"{percent.mean():.0f} ± {half:.0f}"


if __name__ == "__main__":
    main()
