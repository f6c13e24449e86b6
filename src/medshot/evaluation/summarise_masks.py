"""From masks to what a report shows of them."""

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from medshot.data.dataset import Dataset
from medshot.data.draw import outlined
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.summarise import name_of, patient_of, support_showing, worst_and_others
from medshot.tasks.segmentation import by_image

SHOWN_SUPPORT = 12


def support_of_masks(dataset: Dataset) -> r.Support:
    """The first images with what is marked on them, and how many there are."""
    shown = range(min(SHOWN_SUPPORT, len(dataset)))
    pictures = [(i, _drawn(dataset, i, dataset.y[i].numpy()), "With their masks") for i in shown]
    return support_showing(dataset, pictures)


def mask_examples(dataset: Dataset, found: OutOfFold) -> tuple[r.MaskExample, ...]:
    """The worst answers first, then some of the others, drawn at random.

    `dataset` is in the form that was answered.
    """
    scores = by_image(*found.evidence[:3])
    answers = found.decoded.argmax(1)
    return tuple(
        r.MaskExample(
            _flat(dataset, i)[0],
            _drawn(dataset, i, dataset.y[i].numpy()),
            _drawn(dataset, i, answers[i]),
            float(scores[i]),
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in worst_and_others(scores)
    )


def _drawn(dataset: Dataset, i: int, mask: Integer[ndarray, "*s"]) -> r.Pixels:
    pixels, cut = _flat(dataset, i)
    return outlined(pixels, mask[cut].astype(np.int64))


def _flat(dataset: Dataset, i: int) -> tuple[r.Pixels, tuple[int, ...]]:
    """What can be shown of image `i`, and where it is: of a volume, the slice with most marked."""
    pixels, mask = dataset.x[i].numpy(), dataset.y[i].numpy()
    cut = (int((mask > 0).sum((1, 2)).argmax()),) if mask.ndim > 2 else ()
    return pixels[(slice(None), *cut)], cut
