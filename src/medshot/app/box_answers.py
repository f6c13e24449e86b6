"""The folder that `medshot predict` writes for boxes: two tables, and both in COCO's form."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medshot.app.answers import harmless, path_cell
from medshot.core.atomic import write_text
from medshot.core.prediction import BoxPrediction
from medshot.data.tables.boxes import COLUMNS

TABLE, IMAGES, COCO = "boxes.csv", "images.csv", "coco.json"


class BoxAnswers:
    """Boxes as they come, in pixels of their image.

    boxes.csv has a row a box, as `medshot.load` reads it, and a score; images.csv a row an image,
    with its number of boxes of each class; coco.json has both as other programs read them.
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
        """The boxes of one image."""
        path, (width, height) = path_cell(found.path), found.size
        number = len(self._coco["images"]) + 1
        self._coco["images"].append(
            {"id": number, "file_name": path, "width": width, "height": height}
        )
        for box, label, score in zip(found.boxes.tolist(), found.labels, found.scores, strict=True):
            corners = [f"{corner:.2f}" for corner in box]
            self._box_rows.writerow([path, *corners, harmless(label), f"{score:.6f}"])
            self._annotate(number, box, label, float(score))
        counts = [sum(name == label for name in found.labels) for label in self.labels]
        self._image_rows.writerow([path, *counts])

    def add_unread(self, path: Path) -> None:
        """A row without numbers, for a file that could not be read."""
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
