"""From enhanced images to what a report shows of them."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.data.dataset import Dataset
from medshot.data.transforms import eight_bits
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise import name_of, patient_of, support_showing

SHOWN_SUPPORT = 6
SHOWN_WORST = 3
SHOWN_OTHERS = 3


def support_of_images(dataset: Dataset) -> r.Support:
    """The first pairs, and how many there are."""
    pictures = []
    for i in range(min(SHOWN_SUPPORT, len(dataset))):
        pictures += [(i, dataset.x[i].numpy(), "As they are")]
        pictures += [(i, dataset.y[i].numpy(), "As they should look")]
    shown = support_showing(dataset, pictures)
    return replace(shown, goal="to make images look like their targets")


def image_examples(dataset: Dataset, found: OutOfFold, seed: int = 0) -> tuple[r.ImageExample, ...]:
    """The worst answers first, by what they gain on the image, then some others at random.

    `dataset` is in the form that was answered.
    """
    before = found.task.evidence(dataset.examples().x.double().numpy(), found.y)
    gains = found.evidence[0] - before[0]
    order = np.argsort(gains, kind="stable")
    rest = np.random.default_rng(seed).permutation(order[SHOWN_WORST:])[:SHOWN_OTHERS]
    return tuple(
        r.ImageExample(
            dataset.x[i].numpy(),
            eight_bits(found.decoded[i]),
            dataset.y[i].numpy(),
            _scores(found, before, i),
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in map(int, (*order[:SHOWN_WORST], *rest))
    )


def _scores(
    found: OutOfFold, before: tuple[Float[ndarray, "n"], ...], i: int
) -> dict[str, tuple[float, float]]:
    """Of the answer and of the image as it was."""
    rows = zip(found.task.metrics, found.evidence, before, strict=True)
    return {metric: (float(after[i]), float(was[i])) for metric, after, was in rows}
