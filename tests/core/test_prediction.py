"""Predictions for a folder: one by one, or as what `medshot predict` writes."""

import csv

import numpy as np
import pytest

import medshot
import toys
from medshot.core.errors import DataError, SaveError
from medshot.core.prediction import MaskPrediction, mask_numbers
from toys.commands import folder


def test_a_folder_is_predicted_and_written(tmp_path):
    learner = medshot.build("nearest-centroid", encoder=toys.conv4())
    predictor = learner.adapt(medshot.load(folder(tmp_path / "mine")))
    new = folder(tmp_path / "new", first=20)
    found = predictor.predict_folder(new)
    said = list(found)
    assert len(found) == len(said)
    assert f"{len(found)} images for classification" in str(found)
    broken = new / "zz.png"
    broken.write_bytes(b"no image")
    errors = []
    saved = predictor.predict_folder([new]).save(tmp_path / "out.csv", tell=errors.append)
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["prediction"] for row in rows] == [*(each.label for each in said), ""]
    assert saved.n == len(said)
    assert list(saved.unread) == [broken]
    assert len(errors) == 1
    assert "zz.png" in str(saved)
    with pytest.raises(DataError, match="nowhere"):
        predictor.predict_folder(tmp_path / "nowhere")
    with pytest.raises(SaveError):
        learner.adapt(toys.dataset().examples(), toys.dataset().task).predict_folder(new)


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (("background", "1", "2", "4"), (0, 1, 2, 4)),
        (("background", "17", "53"), (0, 17, 53)),
        (("background", "foreground"), (0, 1)),
        (("background", "liver", "4"), (0, 1, 2)),  # not all are numbers
        (("background", "2", "1"), (0, 1, 2)),  # not in order
        (("background", "70000"), (0, 1)),  # more than a file holds
        (("0", "1", "2"), (0, 1, 2)),
        (("background",), (0,)),
    ],
)
def test_classes_whose_names_are_numbers_have_these(
    labels: tuple[str, ...], numbers: tuple[int, ...]
) -> None:
    assert mask_numbers(labels) == numbers


def test_shares_are_by_number() -> None:
    mask = np.array([[0, 4, 4], [1, 0, 0]], np.uint8)
    found = MaskPrediction("x", mask, ("background", "1", "2", "4"))
    assert found.shares() == pytest.approx({"background": 0.5, "1": 1 / 6, "2": 0, "4": 1 / 3})
