"""From numbers to what a report shows of them."""

import numpy as np

from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import name_of, patient_of, support_showing

PARTS, SHOWN_A_PART = 3, 6
SHOWN_WORST = 6
SHOWN_OTHERS = 6


def support_of_numbers(dataset: Dataset) -> r.Support:
    """The first images with small, with middling and with large numbers: a third each."""
    y = dataset.y[:, 0].numpy()
    pictures = []
    for part in np.array_split(np.argsort(y, kind="stable"), PARTS):
        if len(part):
            heading = f"{y[part].min():.4g} to {y[part].max():.4g}"
            first = sorted(part.tolist())[:SHOWN_A_PART]
            pictures += [(i, dataset.x[i].numpy(), heading) for i in first]
    return support_showing(dataset, pictures, goal=f"to tell the number “{dataset.labels[0]}”")


def scatter_of(found: OutOfFold, name: str) -> r.Scatter:
    """Each answer against the truth."""
    return r.Scatter(name, found.y[:, 0], found.decoded[:, 0])


def number_examples(dataset: Dataset, found: OutOfFold, seed: int = 0) -> tuple[r.Prediction, ...]:
    """The worst answers first, then some of the others, drawn at random."""
    true, said = found.y[:, 0], found.decoded[:, 0]
    order = np.argsort(-np.abs(said - true), kind="stable")
    rest = np.random.default_rng(seed).permutation(order[SHOWN_WORST:])[:SHOWN_OTHERS]
    return tuple(
        r.Prediction(
            dataset.x[i].numpy(),
            f"{true[i]:.4g}",
            f"{said[i]:.4g}",
            None,
            patient_of(dataset, i),
            name_of(dataset, i),
            exact=False,
        )
        for i in map(int, (*order[:SHOWN_WORST], *rest))
    )
