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

from medshot.core import BoxPrediction, Card, Learner, PointPrediction
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
from medshot.presenters.mark_overlay import mark_overlay
from medshot.presenters.tables import AnswerFolder, answer_folder, harmless, path_cell
from medshot.selection import Categorical, FloatRange, LearnerFamily
from medshot.tasks.boxes import NO_BOX, SCORE_THRESHOLD, by_class, by_image

SHOWN_SUPPORT = 12


def support_of_boxes(dataset: Dataset, *, round: bool = False) -> r.Support:
    """The first images with their boxes, or points, and how many there are."""
    shown = range(min(SHOWN_SUPPORT, len(dataset)))
    said = "With their points" if round else "With their boxes"
    pictures = [(i, _drawn(dataset, i, dataset.y[i].numpy(), round), said) for i in shown]
    return support_showing(dataset, pictures, goal=f"to find {', '.join(dataset.labels)}")


def box_examples(
    dataset: Dataset, found: OutOfFold, *, round: bool = False
) -> tuple[r.MaskExample, ...]:
    """Worst predictions first, then some others; `dataset` has the form of the predictions."""
    scores = by_image(*found.evidence)
    return tuple(
        r.MaskExample(
            dataset.x[i].numpy(),
            _drawn(dataset, i, dataset.y[i].numpy(), round),
            _drawn(dataset, i, found.decoded[i][found.decoded[i, :, 5] >= SCORE_THRESHOLD], round),
            float(scores[i]),
            patient_of(dataset, i),
            name_of(dataset, i),
            metric="F1",
        )
        for i in worst_and_others(scores)
    )


def table_of_classes(dataset: Dataset, found: OutOfFold) -> r.Table:
    """Out-of-fold metrics of each class."""
    counts, scores = found.evidence[4].sum(0), by_class(found.task.metrics, *found.evidence)
    rows = [
        (label, str(counts[c]), *(number(float(score[c])) for score in scores.values()))
        for c, label in enumerate(dataset.labels)
    ]
    return r.Table("Each class by itself", ("Class", "Boxes", *scores), tuple(rows))


def _drawn(dataset: Dataset, i: int, boxes: Float[ndarray, "m ..."], round: bool) -> r.Pixels:
    real = boxes[boxes[:, 4] != NO_BOX]
    return framed(dataset.x[i].numpy(), real[:, :4], real[:, 4].astype(np.int64), round=round)


TABLE, IMAGES, COCO, OVERLAYS = "boxes.csv", "images.csv", "coco.json", "overlays"


class BoxAnswers(AnswerFolder):
    """Writer of predicted boxes, in pixels of their image.

    boxes.csv has a row a box, as `medshot.load` reads it, and a score; images.csv a row an image,
    with its number of boxes of each class; coco.json has both in COCO format; `overlays/` a picture
    of each image with its boxes. Boxes are written from a score of 0.1 on, and counted and drawn
    from 0.5 on, the threshold of the best F1.
    Source: Lin et al. 2014, arXiv:1405.0312, and https://cocodataset.org/#format-data: a box is
    its left, top, width and height.
    """

    table, marks, columns = IMAGES, TABLE, COLUMNS

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        super().__init__(folder, *[f"n({label})" for label in labels])
        self.labels = tuple(labels)
        self._boxes = io.StringIO()
        self._box_rows = csv.writer(self._boxes, lineterminator="\n")
        self._box_rows.writerow([*self.columns, "score"])
        self._coco: dict[str, list[dict[str, Any]]] = {
            "images": [],
            "annotations": [],
            "categories": self.categories(),
        }
        (folder / OVERLAYS).mkdir()

    def categories(self) -> list[dict[str, Any]]:
        """Classes in COCO format."""
        return [{"id": i, "name": label} for i, label in enumerate(self.labels, 1)]

    def add(self, found: BoxPrediction | PointPrediction) -> None:
        """Add the boxes of one image."""
        path, (width, height) = path_cell(found.path), found.size
        number = len(self._coco["images"]) + 1
        self._coco["images"].append(
            {"id": number, "file_name": path, "width": width, "height": height}
        )
        marks = found.boxes if isinstance(found, BoxPrediction) else found.points
        for mark, label, score in zip(marks.tolist(), found.labels, found.scores, strict=True):
            cells = [f"{value:.2f}" for value in mark]
            self._box_rows.writerow([path, *cells, harmless(label), f"{score:.6f}"])
            self._coco["annotations"].append(
                {
                    "id": len(self._coco["annotations"]) + 1,
                    "image_id": number,
                    "category_id": self.labels.index(label) + 1,
                    **self.annotation([round(value, 2) for value in mark]),
                    "score": round(float(score), 6),
                }
            )
        sure = [n for n, s in zip(found.labels, found.scores, strict=True) if s >= SCORE_THRESHOLD]
        self._row(found.path, *[str(sure.count(label)) for label in self.labels])
        name = self._free(Path(found.path).stem, ".png")
        mark_overlay(found, self.labels).save(self.folder / OVERLAYS / name)

    def close(self) -> None:
        """Write the files."""
        super().close()
        write_text(self.folder / self.marks, self._boxes.getvalue())
        write_text(self.folder / COCO, json.dumps(self._coco, indent=1) + "\n")

    def annotation(self, mark: Sequence[float]) -> dict[str, Any]:
        """A box in COCO format."""
        xmin, ymin, xmax, ymax = mark
        width, height = round(xmax - xmin, 2), round(ymax - ymin, 2)
        area = round(width * height, 2)
        return {"bbox": [xmin, ymin, width, height], "area": area, "iscrowd": 0}


CLASSICAL = ("template", "thresholds")
COLORS = ("orange", "blue", "green", "yellow", "dark blue", "red", "pink")


class OfBoxes(Kind):
    """Boxes around objects, each of a class."""

    name = "detection"
    encoder = "unet"
    out = "answers"
    folds = 2
    round = False  # draw ellipses
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

    def baselines(self, **form: Any) -> list[Learner]:
        """The linear probe, the template, and thresholds with connected components."""
        plain = encoder("intensities", **form)
        return [self.baseline(**form), *(build(name, encoder=plain) for name in CLASSICAL)]

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with their boxes."""
        return support_of_boxes(dataset, round=self.round)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Metrics of each class where there are several; images with boxes, the worst first."""
        named = zip(dataset.labels, COLORS, strict=False)
        colours = ", ".join(f"{label} {colour}" for label, colour in named)
        several = len(dataset.labels) > 1
        return {
            "tables": (table_of_classes(dataset, found),) if several else (),
            "masks": box_examples(dataset, found, round=self.round),
            "masks_title": "Example boxes",
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            f"for how well it does in all. Colours: {colours}.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[BoxAnswers]:
        """A folder with boxes.csv, images.csv, coco.json and pictures."""
        with answer_folder(out) as staging:
            found = BoxAnswers(staging, card.labels)
            yield found
            found.close()
