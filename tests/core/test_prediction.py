"""Predictions for a folder: one by one, or as what `medshot predict` writes."""

import csv

import pytest

import medshot
import toys
from medshot.core.errors import DataError, SaveError
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
