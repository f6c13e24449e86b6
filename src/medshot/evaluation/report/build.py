"""Build a report's content from scores and predictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from medshot.core import Card, Task, versions
from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.episodes import EpisodeScores
from medshot.evaluation.statistics import Interval, paired

SHOWN_A_CLASS = 8
SHOWN_EXAMPLES = 12
SHOWN_WORST = 3
SHOWN_OTHERS = 3
BINS = 5


def support_of(dataset: Dataset, goal: str = "") -> r.Support:
    """Support section with the first images of each class and the counts."""
    shown = [
        int(i)
        for c in range(len(dataset.labels))
        for i in np.flatnonzero(dataset.y == c)[:SHOWN_A_CLASS]
    ]
    pictures = [(i, dataset.x[i].numpy(), dataset.labels[dataset.y[i]]) for i in shown]
    return support_showing(dataset, pictures, goal)


def support_showing(
    dataset: Dataset, pictures: Iterable[tuple[int, r.Pixels, str]], goal: str = ""
) -> r.Support:
    """Support section with the given pictures: image index, pixels and heading."""
    known = dataset.groups[dataset.groups >= 0].unique()
    images = tuple(
        r.SupportImage(pixels, heading, patient_of(dataset, i), name_of(dataset, i))
        for i, pixels, heading in pictures
    )
    patients = len(known) if len(known) else None
    return r.Support(dataset.labels, len(dataset), patients, images, goal)


def from_folds(
    found: Mapping[str, OutOfFold], unit: str = "patient"
) -> tuple[r.MetricsTable, tuple[r.Difference, ...]]:
    """Metrics table and paired differences of cross-validated methods, the learner first.

    `unit` is what was left out whole: "patient", or "image" where no patient is known.
    """
    first, *others = found.values()
    method = f"for new {unit}s, corrected for few of them and for cross-validation"
    table = replace(_table(first.task, found, unit, method), in_turn=True)
    leading = first.task.leading
    minus = [_estimate(first.minus(other, leading)) for other in others]
    return table, _differences(leading, found, minus)


def from_episodes(
    results: Mapping[str, EpisodeScores], task: Task
) -> tuple[r.MetricsTable, tuple[r.Difference, ...]]:
    """Metrics table and paired differences of methods on the same episodes, learner first."""
    table = _table(task, results, "episode", "1.96 standard errors")
    first, *others = (result.scores[task.leading] for result in results.values())
    minus = [_estimate(paired(first, other)) for other in others]
    return table, _differences(task.leading, results, minus)


def examples_of(
    dataset: Dataset,
    probabilities: Float[ndarray, "n k"],
    scores: Float[ndarray, "n k"] | None = None,
    seed: int = 0,
) -> tuple[r.ShownPrediction, ...]:
    """Up to twelve random predictions, half of them wrong where possible.

    The prediction is the class of the highest score, by default the most probable one.
    """
    y, predicted = dataset.y.numpy(), (probabilities if scores is None else scores).argmax(1)
    return tuple(
        r.ShownPrediction(
            dataset.x[i].numpy(),
            dataset.labels[y[i]],
            dataset.labels[predicted[i]],
            float(probabilities[i, predicted[i]]),
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in half_wrong(predicted == y, seed)
    )


def half_wrong(right: Bool[ndarray, "n"], seed: int = 0) -> list[int]:
    """Up to twelve random images, wrong ones first: half and half where possible."""
    order = np.random.default_rng(seed).permutation(len(right))
    wrong, others = order[~right[order]], order[right[order]]
    n_wrong = min(len(wrong), max(SHOWN_EXAMPLES // 2, SHOWN_EXAMPLES - len(others)))
    return [int(i) for i in (*wrong[:n_wrong], *others[: SHOWN_EXAMPLES - n_wrong])]


def confusion_of(
    labels: Sequence[str], probabilities: Float[ndarray, "n k"], y: Int[ndarray, "n"]
) -> r.Confusion:
    """Confusion matrix."""
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (y, probabilities.argmax(1)), 1)
    return r.Confusion(tuple(labels), counts)


def reliability_of(probabilities: Float[ndarray, "n k"], y: Int[ndarray, "n"]) -> r.Reliability:
    """Reliability diagram: accuracy against confidence in five equal bins.

    The calibration error is the mean gap weighted by images (Naeini et al. 2015, AAAI).
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == y
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    used = np.unique(bins)
    stated = np.array([confidence[bins == b].mean() for b in used])
    accuracy = np.array([right[bins == b].mean() for b in used])
    count = np.array([(bins == b).sum() for b in used])
    error = float((np.abs(stated - accuracy) * count).sum() / count.sum())
    return r.Reliability(stated, accuracy, count, error)


def provenance_of(card: Card, options: Mapping[str, Any], command: str) -> r.Provenance:
    """Provenance of the predictor."""
    made = card.learner
    return r.Provenance(
        learner=f"{made['learner']['part']} ({made['source']}), encoder {made['origin']}",
        data_hash=str(card.data["hash"]),
        date=datetime.now(UTC).date().isoformat(),
        command=command,
        options={name: str(value) for name, value in options.items()},
        versions=versions(),
        licence_notes=(str(card.data["licence"]),),
    )


def _table(
    task: Task, found: Mapping[str, OutOfFold | EpisodeScores], unit: str, method: str
) -> r.MetricsTable:
    """One column per method and one row per metric, the leading one first."""
    rows = [
        r.MetricRow(m, tuple(_estimate(f.interval(m)) for f in found.values()), task.chance(m))
        for m in task.metrics
    ]
    return r.MetricsTable(tuple(found), tuple(rows), unit, method)


def _differences(
    metric: str, names: Iterable[str], minus: Sequence[r.Estimate]
) -> tuple[r.Difference, ...]:
    _, *others = names
    return tuple(r.Difference(metric, o, m) for o, m in zip(others, minus, strict=True))


def _estimate(interval: Interval) -> r.Estimate:
    return r.Estimate(
        interval.mean, interval.low, interval.high, interval.n, "too few to give an interval"
    )


def patient_of(dataset: Dataset, i: int) -> str | None:
    """Patient of image `i`, where known."""
    if dataset.rows and dataset.rows[i].patient:
        return dataset.rows[i].patient
    return str(int(dataset.groups[i])) if dataset.groups[i] >= 0 else None


def name_of(dataset: Dataset, i: int) -> str:
    """Display name of image `i`."""
    return dataset.rows[i].path.name if dataset.rows else f"image {i}"


def worst_and_others(scores: Float[ndarray, "n"], seed: int = 0) -> list[int]:
    """Images with the lowest scores, then a random sample of the others."""
    order = np.argsort(scores, kind="stable")
    rest = np.random.default_rng(seed).permutation(order[SHOWN_WORST:])[:SHOWN_OTHERS]
    return [int(i) for i in (*order[:SHOWN_WORST], *rest)]
