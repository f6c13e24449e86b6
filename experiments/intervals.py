"""How often the intervals of cross-validation hold, on noise and on signals of known size.

    python experiments/intervals.py --out runs/intervals

Images are vectors of 20 independent normal numbers; the mean of one of them is shifted for each
class. With patients, they have 1 to 4 images each, of which half of the variance is the patient's.
A nearest centroid and a ridge regression (with the shares of the classes in its intercept) learn
them. The folds and intervals are those of `medshot adapt`. The truth of a cell is the mean score on
new patients of predictors that learned from as many images as those of its folds, measured on other
draws. Rows are appended to result.jsonl, and a cell that is there is not run again; the table of
docs/intervals.md is written from them (`--docs`).
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import softmax
from scipy.stats import rankdata

from medshot.evaluation.cross_validation import even_folds
from medshot.evaluation.intervals import Sample
from medshot.evaluation.statistics import Interval
from medshot.tasks import Classification
from results import DOCS, commit, fill, markdown

SIZES = (6, 12, 24, 60, 200)
WAYS = (2, 3, 6)
SIGNALS = (0.0, 1.0, 2.5)  # shift of a class's mean, in standard deviations
FEATURES = 20
WITHIN = 0.5  # correlation of the images of a patient
IMAGES = (3, 1, 4, 2)  # of a patient
NEW = 40  # new patients of a class
METRICS = ("balanced accuracy", "accuracy", "macro AUROC")


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "result.jsonl"
    found = [json.loads(line) for line in file.open()] if file.exists() else []
    done = {tuple(row["cell"]) for row in found}
    for cell in cells():
        if cell not in done:
            rows = [{"cell": cell, "commit": commit()} | row for row in judged(*cell, options.sets)]
            with file.open("a") as lines:
                lines.writelines(json.dumps(row) + "\n" for row in rows)
            found += rows
            print(*cell, flush=True)
    print(table(found))
    if options.docs:
        fill(DOCS / "intervals.md", "coverage", table(found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the result")
    parser.add_argument("--sets", type=int, default=200, help="simulated sets of a cell")
    parser.add_argument("--docs", action="store_true", help="write the table of docs/intervals.md")
    return parser.parse_args()


def cells() -> Iterator[tuple[int, int, int, bool]]:
    """Images, classes, images of the largest class for one of the smallest, patients or not."""
    for n in SIZES:
        for k in WAYS:
            for ratio, patients in ((1, False), (10, False), (1, True), (10, True)):
                y, groups = design(n, k, ratio, patients)
                fewest = min(len(np.unique(groups[y == c])) for c in range(k))
                if fewest > 1 and abs(len(y) - n) <= max(1, n // 10):
                    yield n, k, ratio, patients


def design(
    n: int, k: int, ratio: int, patients: bool
) -> tuple[Int[ndarray, "n"], Int[ndarray, "n"]]:
    """Classes and patients of about `n` images, at least two of a class."""
    shares = np.geomspace(ratio, 1, k)
    counts = np.maximum(2, np.round(n * shares / shares.sum()).astype(int))
    y = np.repeat(np.arange(k), counts)
    if not patients:
        return y, np.arange(len(y))
    groups, own = np.zeros(len(y), np.int64), 0
    for c in range(k):
        numbers = np.repeat(np.arange(len(y)), np.resize(IMAGES, len(y)))[: counts[c]]
        groups[y == c] = own + numbers
        own += int(numbers.max()) + 1
    return y, groups


def judged(n: int, k: int, ratio: int, patients: bool, sets: int) -> Iterator[dict[str, Any]]:
    """A row for each signal, learner and metric: how often intervals hold, and the bias."""
    y, groups = design(n, k, ratio, patients)
    shows = torch.from_numpy(y)[:, None] == torch.arange(k)
    folds = [(a.numpy(), b.numpy()) for a, b in even_folds(shows, torch.from_numpy(groups))]
    fold = np.zeros(len(y), np.int64)
    for f, (_, held) in enumerate(folds):
        fold[held] = f
    for signal in SIGNALS:
        rng = np.random.default_rng([n, k, ratio, int(patients), int(10 * signal)])
        x, samples = drawn(sets, y, groups, signal, rng), {}
        for name, answer in LEARNERS.items():
            p = np.zeros((sets, len(y), k))
            for rest, held in folds:
                p[:, held] = softmax(answer(x[:, rest], y[rest], x[:, held]), 2)
            samples[name] = [Sample((one, y), groups, y, Classification(k), fold) for one in p]
        real = {name: truth(name, y, groups, folds, signal, rng) for name in LEARNERS}
        for metric in METRICS:
            about = {"signal": signal, "metric": metric}
            for name, each in samples.items():
                found = [sample.interval(metric) for sample in each]
                yield about | {"learner": name} | held_by(found, real[name][metric])
            if metric == METRICS[0]:
                (first, one), (second, other) = samples.items()
                found = [a.minus(b, metric) for a, b in zip(one, other, strict=True)]
                apart = real[first][metric] - real[second][metric]
                yield about | {"learner": "difference"} | held_by(found, apart)


def held_by(found: list[Interval], exact: float) -> dict[str, float]:
    """Truth, mean score, share of the intervals that hold, that are too low or high, and width."""
    mean, low, high = np.array([(f.mean, f.low, f.high) for f in found]).T
    there = np.isfinite(low)
    below, above = (high[there] < exact - 1e-9).mean(), (low[there] > exact + 1e-9).mean()
    return {
        "truth": exact,
        "mean": float(mean.mean()),
        "error": float(mean.std() / len(mean) ** 0.5),
        "given": float(there.mean()),
        "below": float(below),
        "above": float(above),
        "holds": float(1 - below - above),
        "width": float((high - low)[there].mean()),
        "least": float((high - low)[there].min()),
    }


def drawn(
    sets: int,
    y: Int[ndarray, "n"],
    groups: Int[ndarray, "n"],
    signal: float,
    rng: np.random.Generator,
) -> Float[ndarray, "r n f"]:
    """Images as features."""
    single = groups.max() + 1 == len(y)
    noise = rng.standard_normal((sets, len(y), FEATURES))
    if not single:
        own = rng.standard_normal((sets, groups.max() + 1, FEATURES))[:, groups]
        noise = WITHIN**0.5 * own + (1 - WITHIN) ** 0.5 * noise
    return noise + signal * np.eye(FEATURES)[y]


def centroid(
    x: Float[ndarray, "r m f"], y: Int[ndarray, "m"], z: Float[ndarray, "r h f"]
) -> Float[ndarray, "r h k"]:
    """Minus half the squared distances to the means of the classes."""
    means = np.stack([x[:, y == c].mean(1) for c in range(y.max() + 1)], 1)
    return z @ means.transpose(0, 2, 1) - (means**2).sum(2)[:, None] / 2


def ridge(
    x: Float[ndarray, "r m f"], y: Int[ndarray, "m"], z: Float[ndarray, "r h f"]
) -> Float[ndarray, "r h k"]:
    """Ridge regression on one-hot labels, with an intercept."""
    wanted, middle = np.eye(y.max() + 1)[y], x.mean(1, keepdims=True)
    centered = (x - middle).transpose(0, 2, 1)
    square = centered @ centered.transpose(0, 2, 1) + FEATURES / 2 * np.eye(FEATURES)
    weights = np.linalg.solve(square, centered @ (wanted - wanted.mean(0)))
    return (z - middle) @ weights + wanted.mean(0)


LEARNERS: dict[str, Callable[..., ndarray]] = {"centroid": centroid, "ridge": ridge}


def truth(
    name: str,
    y: Int[ndarray, "n"],
    groups: Int[ndarray, "n"],
    folds: list[tuple[ndarray, ndarray]],
    signal: float,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Mean scores on new patients, with one image each, of predictors as those of the folds."""
    k = int(y.max()) + 1
    new, shares, found = np.repeat(np.arange(k), NEW), np.bincount(y) / len(y), []
    for rest, held in folds:
        x = drawn(2000 // len(folds), y, groups, signal, rng)[:, rest]
        for some in np.array_split(x, 10):
            z = drawn(len(some), new, np.arange(len(new)), signal, rng)
            p = softmax(LEARNERS[name](some, y[rest], z), 2)
            right = (p.argmax(2) == new).reshape(-1, k, NEW).mean(2)
            scores = right.mean(), (right @ shares).mean(), _auroc(p, shares)
            found += [scores] * len(held)
    exact = dict(zip(METRICS, np.mean(found, 0).tolist(), strict=True))
    return exact | ({"balanced accuracy": 1 / k, "macro AUROC": 0.5} if signal == 0 else {})


def _auroc(p: Float[ndarray, "r n k"], shares: Float[ndarray, "k"]) -> float:
    """Macro AUROC with the classes in these shares, of `NEW` images each in order."""
    k, each = len(shares), []
    for c in range(k):
        own, others = p[:, c * NEW : (c + 1) * NEW, c], [e for e in range(k) if e != c]
        above = []
        for e in others:
            both = np.concatenate([own, p[:, e * NEW : (e + 1) * NEW, c]], 1)
            total = rankdata(both, axis=1)[:, :NEW].sum(1) - NEW * (NEW + 1) / 2
            above.append(float(total.mean()) / NEW**2)
        each.append(np.average(above, weights=shares[others]))
    return float(np.mean(each))


def table(found: list[dict[str, Any]]) -> str:
    """A row for each number of images, of classes, and so on: the extremes over the signals."""
    cells: dict[tuple[Any, ...], dict[str, list[dict[str, Any]]]] = {}
    for row in found:
        what = "difference" if row["learner"] == "difference" else row["metric"]
        cells.setdefault(tuple(row["cell"]), {}).setdefault(what, []).append(row)
    columns = (*METRICS, "difference")
    head = ["images", "classes", "largest to smallest", "patients", *columns, "bias", "of AUROC"]
    rows = []
    for (n, k, ratio, patients), by in sorted(cells.items()):
        extremes = [_extremes([r["holds"] for r in by[what]]) for what in columns]
        biases = [_bias(by[what]) for what in (METRICS[0], METRICS[-1])]
        rows.append([n, k, f"{ratio}:1", "yes" if patients else "no", *extremes, *biases])
    return markdown(head, rows)


def _bias(rows: list[dict[str, Any]]) -> str:
    """Mean score minus truth, in points, with two standard errors; signals are independent."""
    found = [100 * (row["mean"] - row["truth"]) for row in rows]
    error = 100 * sum(row["error"] for row in rows) / len(rows) / len(SIGNALS) ** 0.5
    return f"{np.mean(found):+.1f} ± {2 * error:.1f}"


def _extremes(holds: list[float]) -> str:
    low, middle, high = (f"{100 * f(holds):.0f}" for f in (min, np.mean, max))
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
