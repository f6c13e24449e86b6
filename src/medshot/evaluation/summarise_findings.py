"""From findings to what a report shows of them."""

import numpy as np

from medshot.data.dataset import Dataset
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.words import number
from medshot.evaluation.summarise import (
    SHOWN_A_CLASS,
    half_wrong,
    name_of,
    patient_of,
    support_showing,
)
from medshot.tasks.multi_label import LIKELY, aurocs, average_precisions, f1_scores

NONE = "no finding"


def support_of_findings(dataset: Dataset) -> r.Support:
    """The first images with each finding, and the first without any."""
    y = dataset.y.numpy()
    columns = [*zip(dataset.labels, y.T, strict=True), (NONE, y.sum(1) == 0)]
    pictures = [
        (int(i), dataset.x[i].numpy(), heading)
        for heading, there in columns
        for i in np.flatnonzero(there)[:SHOWN_A_CLASS]
    ]
    return support_showing(dataset, pictures, goal=f"the findings {', '.join(dataset.labels)}")


def table_of_findings(dataset: Dataset, found: OutOfFold) -> r.Table:
    """How well each finding is told, out of fold."""
    scores = [score(found.decoded, found.y) for score in (aurocs, average_precisions, f1_scores)]
    rows = [
        (label, str(n), *(number(float(score[c])) for score in scores))
        for c, (label, n) in enumerate(dataset.counts().items())
    ]
    columns = ("Finding", "Images with it", "AUROC", "Average precision", f"F1 at {LIKELY}")
    return r.Table("Each finding by itself", columns, tuple(rows))


def finding_examples(dataset: Dataset, found: OutOfFold, seed: int = 0) -> tuple[r.Prediction, ...]:
    """Up to twelve answers, half of them wrong if there are as many, drawn at random."""
    true, said = found.y == 1, found.decoded > LIKELY
    return tuple(
        r.Prediction(
            dataset.x[i].numpy(),
            _named(dataset, true[i]),
            _named(dataset, said[i]),
            None,
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in half_wrong((true == said).all(1), seed)
    )


def _named(dataset: Dataset, there: np.ndarray) -> str:
    return "; ".join(dataset.labels[c] for c in np.flatnonzero(there)) or NONE
