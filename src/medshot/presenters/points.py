"""Points: centers of objects in the report; `predict` writes CSV files and COCO keypoints."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medshot.core import Card
from medshot.data.dataset import Dataset
from medshot.data.tables.boxes import POINT_COLUMNS, POINTS
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.text import number
from medshot.presenters.detection import BoxAnswers, OfBoxes
from medshot.presenters.tables import answer_folder
from medshot.tasks.boxes import SCORE_THRESHOLD

SEEN = 2  # visibility of a keypoint in COCO: labeled and visible


class PointAnswers(BoxAnswers):
    """Writer of predicted centers: as that of boxes, with points.csv and keypoints in coco.json."""

    marks, columns = POINTS, POINT_COLUMNS

    def categories(self) -> list[dict[str, Any]]:
        """Classes in COCO format, each of one keypoint."""
        return [{**each, "keypoints": ["center"]} for each in super().categories()]

    def annotation(self, mark: Sequence[float]) -> dict[str, Any]:
        """A center in COCO format."""
        return {"keypoints": [*mark, SEEN], "num_keypoints": 1, "iscrowd": 0}


def table_of_counts(dataset: Dataset, found: OutOfFold) -> r.Table:
    """How many there are of each class, how many were counted, and how far off that is an image."""
    scores, labels, *_, counts, _ = found.evidence
    rows = []
    for c, label in enumerate(dataset.labels):
        counted = ((labels == c) & (scores >= SCORE_THRESHOLD)).sum(1)
        off = np.abs(counted - counts[:, c]).mean()
        rows.append((label, str(counts[:, c].sum()), str(counted.sum()), number(float(off))))
    columns = ("Class", "Points", "Counted", "Mean absolute error an image")
    return r.Table("Counts", columns, tuple(rows))


class OfPoints(OfBoxes):
    """Centers of objects, each of a class."""

    name = "points"
    round = True

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """As of boxes, and the counts first."""
        fields = super().shown(dataset, found, unseen)
        tables = (table_of_counts(dataset, found), *fields["tables"])
        return {**fields, "tables": tables, "masks_title": "Example points"}

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[PointAnswers]:
        """A folder with points.csv, images.csv, coco.json and pictures."""
        with answer_folder(out) as staging:
            found = PointAnswers(staging, card.labels)
            yield found
            found.close()
