"""Thresholds of `box-probe` from one image: the best ones on sets that are not in the results.

    python experiments/box_thresholds.py [--episodes 6] [--out docs/results/box_thresholds.json]

Data: the sets of `SETS` below $MEDSHOT_DATA, with a box around each connected component of the
foreground; 8 images asked, none of which the results of detection have. Of the raw scores of what
is found, each pair of thresholds of `CUTS` and `LOWS` is judged: by how much F1 at the upper one is
below the best (`F1`), by how much AP50 of what is above the lower one is below that of all
(`AP50`), and how many are written for one true box (`written`). Two cores, one thread: 3 minutes.
"""

import json
import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from detection import around_masks, best_f1, built, drawn
from medshot.core.atomic import write_text
from medshot.data.dataset import Dataset
from medshot.learners.two_stage import Boxes, dense
from medshot.tasks.boxes import MOST, ap50, judged, ranked
from results import arguments, commit

SETS = {
    "glands": "seg_gland_glas",
    "lungs": "seg_lung_fields_shenzhen",
    "nerves": "seg_nerve_us",
    "fetal heads": "seg_fetal_head_hc18",
    "roots": "seg_dental_periapical",
    "livers": "seg_liver_ct",
}
CUTS, LOWS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5), (0.05, 0.1, 0.15, 0.2, 0.25)
NAMES = ("F1", "AP50", "written")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--episodes", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("docs/results/box_thresholds.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    root, made_at, means = Path(os.environ["MEDSHOT_DATA"]), commit(), {}
    for name, folder in SETS.items():
        dataset = around_masks(root / folder)
        each = [of_episode(dataset, i) for i in range(options.episodes)]
        means[name] = np.mean(each, 0)
    rows = []
    for i, (cut, low) in enumerate(product(CUTS, LOWS)):
        row: dict[str, Any] = {"cut": cut, "low": low}
        for j, measured in enumerate(NAMES):
            of_sets = {name: round(float(values[i, j]), 4) for name, values in means.items()}
            row[measured] = {"mean": round(float(np.mean(list(of_sets.values()))), 4), **of_sets}
        rows.append(row)
        print(cut, low, *(f"{name} {row[name]['mean']}" for name in NAMES))
    found = {"commit": made_at, "episodes": options.episodes, "rows": rows}
    write_text(options.out, json.dumps(found, indent=1) + "\n")


@torch.no_grad()
def of_episode(dataset: Dataset, i: int) -> list[tuple[float, float, float]]:
    """What each pair of thresholds loses and writes in episode `i`, from one image."""
    support, query = drawn(dataset, 1, i)
    torch.manual_seed(i)
    learner = built("box-probe")
    predictor = learner.adapt(support)
    assert isinstance(predictor, Boxes)
    query = query.at(3, getattr(learner.encoder, "size", None))
    found = np.full((len(query), MOST, 6), -1.0)
    for j, row in enumerate(found):
        x = query.examples(torch.tensor([j])).x
        boxes, scores = predictor.detect(dense(predictor.encoder, x, predictor.zoom), x[0])
        best, label = scores.max(1)
        rows = torch.cat([boxes, label[:, None], best[:, None]], 1)[:MOST]
        row[: len(rows)] = rows.double().numpy()
    inputs = judged(found, query.y.numpy(), len(support.labels))
    return [of_pair(inputs, cut, low) for cut, low in product(CUTS, LOWS)]


def of_pair(inputs: tuple[np.ndarray, ...], cut: float, low: float) -> tuple[float, float, float]:
    """F1 below its best, AP50 that is not written, and how many are written for one true box."""
    scores, labels, over, centred, true, strict = inputs
    shown, written = (np.where(scores >= least, labels, -1) for least in (cut, low))
    lost_f1 = [
        best_f1(hit, n) - 2 * seen.sum() / (len(seen) + n)
        for (hit, n), (seen, _) in zip(
            ranked(scores, labels, over, true), ranked(scores, shown, over, true), strict=True
        )
    ]
    whole, part = (ap50(scores, each, over, centred, true, strict) for each in (labels, written))
    return float(np.mean(lost_f1)), whole - part, float((written >= 0).sum() / true.sum())


if __name__ == "__main__":
    main()
