"""Boxes, points and scribbles in place of masks: what they cost.

    python experiments/weak_masks.py --out runs/weak_masks
    python experiments/tables.py weak_masks --from runs/weak_masks

`stacked-masks` learns from 4 images with masks, with boxes or points around and in every object of
these masks, from which masks are made (`medshot.data.weak_masks`), with boxes whose unknown pixels
stay without a label, and with scribbles: one pixel in 50 of an object and of background. Dice on 8
queries with masks. The settings of `weak_masks` were chosen on other sets (wbc1, fetal_head_hc18,
lung_fields_shenzhen).
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from scipy.ndimage import distance_transform_edt, find_objects, label

import medshot
from medshot.core.atomic import write_text
from medshot.core.episode import Episode, Examples
from medshot.data.episodes import ImageEpisodes
from medshot.data.weak_masks import UNKNOWN, box_sketch, completed
from medshot.tasks.segmentation import UNLABELED
from results import commit, hardware, markdown, parse
from segmentation import real_set

SETS = ("foot_ulcer", "polyp_kvasir")
SHOT, EPISODES, QUERIES = 4, 3, 8
SMALLEST = 12  # pixels of an object
MARKED = 50  # one in so many pixels, of scribbles


def main() -> None:
    options = parse(__doc__)
    learner = medshot.build("stacked-masks", encoder=medshot.encoder("mobilenet"))
    rows = []
    for name in options.only or SETS:
        source = ImageEpisodes(real_set(name), shot=SHOT, query=QUERIES, seed=21)
        for i in range(EPISODES):
            rows.append({"set": name, "episode": i, "dice": scored(learner, source.episode(i))})
            print(rows[-1], flush=True)
    about = {"rows": rows, "hardware": hardware(), "commit": commit()}
    write_text(options.out / "result.json", json.dumps(about) + "\n")


@torch.no_grad()
def scored(learner: Any, episode: Episode) -> dict[str, float]:
    """Dice on the queries for each way to mark the support."""
    task, dice = episode.task, episode.task.metrics[episode.task.leading]
    found = {}
    for way, mark in WAYS.items():
        support = marked(episode.support, mark)
        answer = task.decode(learner.learn(support, task).predict_batches(episode.query.x))
        rows = task.metric_inputs(answer.double().numpy(), episode.query.y.numpy())
        found[way] = round(dice(*rows), 4)
    return found


def marked(support: Examples, mark: Callable[[ndarray, ndarray], ndarray]) -> Examples:
    """The support, marked in another way."""
    pixels = (support.x * 255).round().byte().movedim(1, -1).numpy()
    masks = [mark(*pair) for pair in zip(pixels, support.y.numpy() > 0, strict=True)]
    y = torch.from_numpy(np.stack(masks).astype(np.int64))
    return Examples(support.x, torch.where(y == UNKNOWN, UNLABELED, y), support.groups)


def boxes(mask: ndarray) -> list[tuple[tuple[int, int, int, int], int]]:
    """A box around each object."""
    parts: Any = label(mask)[0]  # type: ignore[index]
    found = [(s[1].start, s[0].start, s[1].stop, s[0].stop) for s in find_objects(parts)]
    large = [b for b in found if (b[2] - b[0]) * (b[3] - b[1]) >= SMALLEST]
    return [(b, 1) for b in large or found]


def points(mask: ndarray) -> list[tuple[float, float, int]]:
    """The innermost pixel of each object, and the one that is farthest from all."""
    parts: Any = label(mask)[0]  # type: ignore[index]
    found = []
    for c, area in [*((i, parts == i) for i in range(1, parts.max() + 1)), (0, ~mask)]:
        inner: Any = distance_transform_edt(area)
        if c and area.sum() < SMALLEST:
            continue
        y, x = np.unravel_index(inner.argmax(), inner.shape)
        found.append((float(x) + 0.5, float(y) + 0.5, int(c > 0)))
    return found


def scribbles(mask: ndarray) -> ndarray:
    """A few pixels of object and of background."""
    rng = np.random.default_rng(0)
    y = np.full(mask.shape, UNKNOWN)
    for c in (0, 1):
        there = np.flatnonzero(mask == c)
        y.flat[rng.permutation(there)[: max(len(there) // MARKED, 1)]] = c
    return y


WAYS: dict[str, Callable[[ndarray, ndarray], ndarray]] = {
    "masks": lambda x, m: m.astype(np.int64),
    "boxes, masks made of them": lambda x, m: completed(x, box_sketch(boxes(m), [], m.shape)),
    "boxes, unknown between": lambda x, m: box_sketch(boxes(m), [], m.shape),
    "points, masks made of them": lambda x, m: completed(x, box_sketch([], points(m), m.shape)),
    "scribbles": lambda x, m: scribbles(m),
}


def table(found: dict[str, Any]) -> str:
    """Mean Dice on each set, ± half of the 95 % interval over episodes."""
    lines = []
    for way in WAYS:
        cells = [way]
        for name in SETS:
            each = 100 * np.array([r["dice"][way] for r in found["rows"] if r["set"] == name])
            cells.append(
                f"{each.mean():.1f} ± {196 / 100 * each.std(ddof=1) / len(each) ** 0.5:.1f}"
            )
        lines.append(cells)
    made = f"{found['hardware']}, commit `{found['commit']}`"
    return f"{markdown(['support', *SETS], lines)}\n{made}\n"


if __name__ == "__main__":
    main()
