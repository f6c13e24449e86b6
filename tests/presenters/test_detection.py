"""What a report shows of boxes: each class by itself."""

import numpy as np
import torch

from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.cross_validation import OutOfFold
from medshot.presenters.detection import table_of_classes
from medshot.tasks import Detection


def _found(boxes: torch.Tensor, claims: np.ndarray) -> tuple[Dataset, OutOfFold]:
    n = len(boxes)
    dataset = Dataset(
        x=torch.zeros(n, 3, 8, 8, dtype=torch.uint8),
        y=boxes,
        labels=("cell", "mitosis", "debris"),
        task=Detection.of(3),
        preprocessing=ImagePreprocessing(channels=3, size=8),
        groups=torch.arange(n),
        name="toy",
        hash="",
    )
    y, groups = boxes.numpy().astype(float), np.arange(n)
    return dataset, OutOfFold(claims, y, groups, n, Detection.of(3), strata=groups)


def test_each_class_has_its_boxes_and_its_scores() -> None:
    box = [0.1, 0.1, 0.4, 0.4]
    boxes = torch.tensor([[[*box, 0.0], [0.5, 0.5, 0.9, 0.9, 1.0]], [[*box, 0.0], [*box, -1.0]]])
    claims = np.array([[[*box, 0, 0.9]], [[*box, 0, 0.8]]])
    table = table_of_classes(*_found(boxes, claims))
    assert table.columns == ("Class", "Boxes", "AP50", "AP", "FROC", "F1")
    assert table.rows == (
        ("cell", "2", "1.000", "1.000", "1.000", "1.000"),
        ("mitosis", "1", "0.000", "0.000", "0.000", "0.000"),
        ("debris", "0", "undefined", "undefined", "undefined", "undefined"),
    )
