"""What is written and shown of points."""

import csv
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medshot.core import PointPrediction
from medshot.data.dataset import Dataset
from medshot.data.transforms import ImagePreprocessing
from medshot.evaluation.cross_validation import OutOfFold
from medshot.presenters.points import PointAnswers, table_of_counts
from medshot.tasks import Points


def test_a_table_keypoints_counts_and_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.arange(2400, dtype=np.uint8).reshape(40, 60)).save(path)
    points, scores = np.array([[10.0, 20.0], [30.5, 7.25]]), np.array([0.9, 0.3])
    answers = PointAnswers(tmp_path / "out", ("cell", "debris"))
    answers.add(PointPrediction(str(path), points, ("cell", "debris"), scores, (60, 40)))
    answers.close()
    with (tmp_path / "out" / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["x"], row["y"], row["label"]) for row in rows] == [
        ("10.00", "20.00", "cell"),
        ("30.50", "7.25", "debris"),
    ]
    said = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert said["annotations"][1]["keypoints"] == [30.5, 7.25, 2]
    assert said["categories"][0]["keypoints"] == ["center"]
    assert (tmp_path / "out" / "images.csv").read_text().splitlines()[1].endswith(",1,0")
    assert (tmp_path / "out" / "overlays" / "a.png").is_file()


def test_the_counts_and_how_far_they_are_off_an_image() -> None:
    box = [0.1, 0.1, 0.3, 0.3]
    y = torch.tensor([[[*box, 0.0], [0.6, 0.6, 0.8, 0.8, 0.0]], [[*box, 0.0], [*box, -1.0]]])
    claims = np.array([[[*box, 0, 0.9]], [[*box, 0, 0.2]]])
    dataset = Dataset(
        x=torch.zeros(2, 3, 8, 8, dtype=torch.uint8),
        y=y,
        labels=("cell",),
        task=Points.of(1),
        preprocessing=ImagePreprocessing(channels=3, size=8),
        groups=torch.arange(2),
        name="toy",
        hash="",
    )
    groups = np.arange(2)
    found = OutOfFold(claims, y.numpy(), groups, 2, Points.of(1), strata=groups)
    assert table_of_counts(dataset, found).rows == (("cell", "3", "1", "1.000"),)
