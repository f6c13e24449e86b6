"""From boxes to what a report shows of them."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.data.dataset import Dataset
from medshot.data.draw import framed
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.words import number
from medshot.evaluation.summarise import name_of, patient_of, support_showing, worst_and_others
from medshot.tasks.average_precision import SURE, by_class, by_image
from medshot.tasks.boxes import NO_BOX

SHOWN_SUPPORT = 12


def support_of_boxes(dataset: Dataset) -> r.Support:
    """The first images with their boxes, and how many there are."""
    shown = range(min(SHOWN_SUPPORT, len(dataset)))
    pictures = [(i, _drawn(dataset, i, dataset.y[i].numpy()), "With their boxes") for i in shown]
    return support_showing(dataset, pictures, goal=f"to find {', '.join(dataset.labels)}")


def box_examples(dataset: Dataset, found: OutOfFold) -> tuple[r.MaskExample, ...]:
    """The worst answers first, then some of the others; `dataset` is in the form answered."""
    scores = by_image(*found.evidence)
    return tuple(
        r.MaskExample(
            dataset.x[i].numpy(),
            _drawn(dataset, i, dataset.y[i].numpy()),
            _drawn(dataset, i, found.decoded[i][found.decoded[i, :, 5] >= SURE]),
            float(scores[i]),
            patient_of(dataset, i),
            name_of(dataset, i),
            metric="F1",
        )
        for i in worst_and_others(scores)
    )


def table_of_classes(dataset: Dataset, found: OutOfFold) -> r.Table:
    """How well the boxes of each class are found, out of fold."""
    counts, scores = found.evidence[-1].sum(0), by_class(*found.evidence)
    rows = [
        (label, str(counts[c]), *(number(float(score[c])) for score in scores.values()))
        for c, label in enumerate(dataset.labels)
    ]
    return r.Table("Each class by itself", ("Class", "Boxes", *scores), tuple(rows))


def _drawn(dataset: Dataset, i: int, boxes: Float[ndarray, "m ..."]) -> r.Pixels:
    real = boxes[boxes[:, 4] != NO_BOX]
    return framed(dataset.x[i].numpy(), real[:, :4], real[:, 4].astype(np.int64))
