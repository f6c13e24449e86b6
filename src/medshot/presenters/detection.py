"""Detection: images with boxes in the report; `predict` writes CSV files and COCO JSON."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from medshot.core import BoxPrediction, Card, Learner
from medshot.core.atomic import write_text
from medshot.data.dataset import Dataset
from medshot.data.draw import framed
from medshot.data.tables.boxes import COLUMNS
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.report.build import name_of, patient_of, support_showing, worst_and_others
from medshot.evaluation.report.text import number
from medshot.learners.registry import build
from medshot.nn.encoder import encoder
from medshot.presenters.base import Kind
from medshot.presenters.tables import answer_folder, harmless, path_cell
from medshot.selection import Categorical, FloatRange, LearnerFamily
from medshot.tasks.boxes import NO_BOX, SCORE_THRESHOLD, by_class, by_image

SHOWN_SUPPORT = 12


def support_of_boxes(dataset: Dataset) -> r.Support:
    """The first images with their boxes, and how many there are."""
    shown = range(min(SHOWN_SUPPORT, len(dataset)))
    pictures = [(i, _drawn(dataset, i, dataset.y[i].numpy()), "With their boxes") for i in shown]
    return support_showing(dataset, pictures, goal=f"to find {', '.join(dataset.labels)}")


def box_examples(dataset: Dataset, found: OutOfFold) -> tuple[r.MaskExample, ...]:
    """Worst predictions first, then some others; `dataset` has the form of the predictions."""
    scores = by_image(*found.evidence)
    return tuple(
        r.MaskExample(
            dataset.x[i].numpy(),
            _drawn(dataset, i, dataset.y[i].numpy()),
            _drawn(dataset, i, found.decoded[i][found.decoded[i, :, 5] >= SCORE_THRESHOLD]),
            float(scores[i]),
            patient_of(dataset, i),
            name_of(dataset, i),
            metric="F1",
        )
        for i in worst_and_others(scores)
    )


def table_of_classes(dataset: Dataset, found: OutOfFold) -> r.Table:
    """Out-of-fold metrics of each class."""
    counts, scores = found.evidence[4].sum(0), by_class(*found.evidence)
    rows = [
        (label, str(counts[c]), *(number(float(score[c])) for score in scores.values()))
        for c, label in enumerate(dataset.labels)
    ]
    return r.Table("Each class by itself", ("Class", "Boxes", *scores), tuple(rows))


def _drawn(dataset: Dataset, i: int, boxes: Float[ndarray, "m ..."]) -> r.Pixels:
    real = boxes[boxes[:, 4] != NO_BOX]
    return framed(dataset.x[i].numpy(), real[:, :4], real[:, 4].astype(np.int64))


TABLE, IMAGES, COCO = "boxes.csv", "images.csv", "coco.json"


class BoxAnswers:
    """Writer of predicted boxes, in pixels of their image.

    boxes.csv has a row a box, as `medshot.load` reads it, and a score; images.csv a row an image,
    with its number of boxes of each class; coco.json has both in COCO format. Boxes are written
    from a score of 0.1 on, and counted from 0.5 on, the threshold of the best F1.
    Source: Lin et al. 2014, arXiv:1405.0312, and https://cocodataset.org/#format-data: a box is
    its left, top, width and height.
    """

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        self.folder, self.labels, self.unread = folder, tuple(labels), 0
        self._boxes, self._images = io.StringIO(), io.StringIO()
        self._box_rows = csv.writer(self._boxes, lineterminator="\n")
        self._image_rows = csv.writer(self._images, lineterminator="\n")
        self._box_rows.writerow([*COLUMNS, "score"])
        self._image_rows.writerow(["path", *[f"n({label})" for label in labels]])
        categories = [{"id": i, "name": label} for i, label in enumerate(labels, 1)]
        self._coco: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": categories,
        }
        folder.mkdir(parents=True)

    def add(self, found: BoxPrediction) -> None:
        """Add the boxes of one image."""
        path, (width, height) = path_cell(found.path), found.size
        number = len(self._coco["images"]) + 1
        self._coco["images"].append(
            {"id": number, "file_name": path, "width": width, "height": height}
        )
        for box, label, score in zip(found.boxes.tolist(), found.labels, found.scores, strict=True):
            corners = [f"{corner:.2f}" for corner in box]
            self._box_rows.writerow([path, *corners, harmless(label), f"{score:.6f}"])
            self._annotate(number, box, label, float(score))
        sure = [n for n, s in zip(found.labels, found.scores, strict=True) if s >= SCORE_THRESHOLD]
        counts = [sure.count(label) for label in self.labels]
        self._image_rows.writerow([path, *counts])

    def add_unread(self, path: Path) -> None:
        """Add an empty row for a file that could not be read."""
        self.unread += 1
        self._image_rows.writerow([path_cell(path), *[""] * len(self.labels)])

    def close(self) -> None:
        """Write the files."""
        write_text(self.folder / TABLE, self._boxes.getvalue())
        write_text(self.folder / IMAGES, self._images.getvalue())
        write_text(self.folder / COCO, json.dumps(self._coco, indent=1) + "\n")

    def _annotate(self, image: int, box: Sequence[float], label: str, score: float) -> None:
        xmin, ymin, xmax, ymax = (round(corner, 2) for corner in box)
        width, height = round(xmax - xmin, 2), round(ymax - ymin, 2)
        self._coco["annotations"].append(
            {
                "id": len(self._coco["annotations"]) + 1,
                "image_id": image,
                "category_id": self.labels.index(label) + 1,
                "bbox": [xmin, ymin, width, height],
                "area": round(width * height, 2),
                "iscrowd": 0,
                "score": round(score, 6),
            }
        )


COLORS = ("orange", "blue", "green", "yellow", "dark blue", "red", "pink")


class OfBoxes(Kind):
    """Boxes around objects, each of a class."""

    name = "detection"
    encoder = "unet"
    out = "answers"
    folds = 2
    families = (  # the first where nothing can be left out
        LearnerFamily("box-probe", "mobilenet-maps", simple=True),
        LearnerFamily(
            "thresholds", "intensities", {"encoder.size": Categorical((256,))}, simple=True
        ),
        LearnerFamily("template", "intensities", simple=True),
        LearnerFamily("blob", "intensities", simple=True),
        LearnerFamily(
            "linear-probe", "filters", {"c": FloatRange(0.1, 1000.0, (100.0,))}, simple=True
        ),
        LearnerFamily("nearest-centroid", "filters"),
        LearnerFamily(
            "finetune",
            "unet",
            {
                "encoder.width": Categorical((8, 4, 16)),
                "encoder.depth": Categorical((4, 3)),
                "lr": FloatRange(0.001, 0.03, starts=(0.01,)),
                "steps": FloatRange(50, 400, starts=(150,)),
                "batch": 4,
            },
        ),
    )

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on a filter bank at each pixel."""
        return build("linear-probe", encoder=encoder("filters", **form))

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with their boxes."""
        return support_of_boxes(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Metrics of each class where there are several; images with boxes, the worst first."""
        named = zip(dataset.labels, COLORS, strict=False)
        colours = ", ".join(f"{label} {colour}" for label, colour in named)
        several = len(dataset.labels) > 1
        return {
            "tables": (table_of_classes(dataset, found),) if several else (),
            "masks": box_examples(dataset, found),
            "masks_title": "Example boxes",
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            f"for how well it does in all. Colours: {colours}.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[BoxAnswers]:
        """A folder with boxes.csv, images.csv and coco.json."""
        with answer_folder(out) as staging:
            found = BoxAnswers(staging, card.labels)
            yield found
            found.close()
