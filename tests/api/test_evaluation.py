"""Saved predictors on labelled images: scores, pairs, and what is refused."""

import numpy as np
import pytest
import torch

import medshot
import toys
from medshot.api.compare import evaluate
from medshot.core.errors import ConfigError, DataError, LeakError
from medshot.data.load import load
from medshot.evaluation import cross_validation
from medshot.learners.registry import build
from toys.commands import folder


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(cross_validation, "DRAWS", 50)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("labelled")
    mine = load(folder(place / "mine", (4, 4, 4)))
    torch.manual_seed(0)
    build("nearest-centroid", encoder=toys.conv4()).adapt(mine).save(place / "centroid")
    build("lda", encoder=medshot.encoder("pixels", channels=1, size=24)).adapt(mine).save(
        place / "lda"
    )
    patients = [[f"{c}{i // 2}" for i in range(6)] for c in range(3)]
    folder(place / "others", (6, 6, 6), first=20, patients=patients)
    return place


def test_scores_are_those_of_the_answers_one_by_one(place):
    found = medshot.evaluate(place / "centroid", data=place / "others")
    model = medshot.load_predictor(place / "centroid")
    data = load(place / "others")
    right = np.array([model.predict(row.path).label == row.label for row in data.rows])
    y = data.y.numpy()
    assert found.interval().mean == pytest.approx(np.mean([right[y == c].mean() for c in range(3)]))
    assert found.interval("accuracy").n == 9, "patients"
    assert found.interval("accuracy").mean == pytest.approx(right.mean())


def test_models_of_other_forms_are_compared_patient_by_patient(place):
    first, second = "centroid", "lda"
    found = evaluate(place / first, place / second, data=place / "others")
    minus = found.minus(second)
    assert minus.mean == found.interval(name=second).mean - found.interval(name=first).mean
    assert found.minus(first).half == 0
    about = found.to_json()
    assert list(about["models"]) == [first, second]
    assert about["models"][second]["difference"]["balanced accuracy"] == vars(minus)
    assert about["models"][first]["learned from"]["name"] == "mine"
    assert set(about["models"][first]["classes"]) == {"bright", "dark", "grey"}
    _, heads, row, *_ = str(found).splitlines()
    assert heads.split() == [first, second]
    assert row.split()[:4] == ["balanced", "accuracy", "%", f"{100 * found.interval().mean:.1f}"]


def test_a_predictor_and_a_data_set_in_memory_do_as_well(place):
    model = medshot.load_predictor(place / "lda")
    found = evaluate(model, data=load(place / "others"))
    saved = evaluate(place / "lda", data=place / "others")
    assert found.interval() == saved.interval()


def test_a_class_may_be_missing_and_is_named(place, tmp_path):
    found = evaluate(place / "lda", data=folder(tmp_path / "two", (3, 3), first=40))
    assert any("shows grey" in note for note in found.notes)
    assert np.isfinite(found.interval().mean)
    assert np.isnan(found.interval("macro AUROC").mean)


def test_what_cannot_be_compared_is_refused(place, tmp_path):
    with pytest.raises(LeakError, match=r"lda learned from 12 of the 12 images of mine"):
        evaluate(place / "lda", data=place / "mine")
    odd = folder(tmp_path / "odd", (2, 2), labels=("bright", "odd"), first=50)
    with pytest.raises(DataError, match="odd among its labels"):
        evaluate(place / "lda", data=odd)
    two = load(folder(tmp_path / "two", (3, 3), first=60))
    other = build("nearest-centroid", encoder=toys.conv4()).adapt(two)
    with pytest.raises(DataError, match="cannot be compared"):
        evaluate(place / "lda", other, data=place / "others")
    for models in ((), (place / "lda", place / "lda")):
        with pytest.raises(ConfigError, match="each of them once"):
            evaluate(*models, data=place / "others")
