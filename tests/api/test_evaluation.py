"""Saved predictors on labelled images: scores, pairs, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import medshot
import toys
from medshot.api.compare import evaluate
from medshot.api.evaluation import RATES, calibration_error, rates_of
from medshot.core.errors import ConfigError, DataError, LeakError
from medshot.data.load import load
from medshot.evaluation import cross_validation
from medshot.evaluation.cross_validation import OutOfFold, answered
from medshot.learners.registry import build
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression
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


# Rates against counting image by image, and their intervals.


def _found(task, decoded, y, groups=None):
    groups = np.arange(len(y)) if groups is None else groups
    return OutOfFold(decoded, y, groups, 0, task, np.zeros(len(y), np.int64))


def _one(has: list[bool], said: list[bool]) -> dict[str, float]:
    pairs = list(zip(has, said, strict=True))

    def share(of):
        return sum(h == s for h, s in of) / len(of) if of else float("nan")

    return {
        "sensitivity": share([p for p in pairs if p[0]]),
        "specificity": share([p for p in pairs if not p[0]]),
        "positive predictive value": share([p for p in pairs if p[1]]),
        "negative predictive value": share([p for p in pairs if not p[1]]),
    }


def test_rates_are_counted_image_by_image_whatever_the_kind_of_label():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 30)
    p = rng.dirichlet((1, 1, 1), 30)
    many, sure = rng.integers(0, 2, (30, 3)), rng.random((30, 3))
    median = [next(g for g in range(3) if row[: g + 1].sum() >= 0.5) for row in p]
    for task, decoded, target, has, said in (
        (Classification(3), p, y, lambda c: y == c, lambda c: p.argmax(1) == c),
        (Ordinal(2), p, y, lambda c: y == c, lambda c: np.array(median) == c),
        (MultiLabel(3), sure, many, lambda c: many[:, c] == 1, lambda c: sure[:, c] > 0.5),
    ):
        for c, rates in enumerate(rates_of(_found(task, decoded, target))):
            wanted = _one(has(c).tolist(), said(c).tolist())
            assert {name: rates[name].mean for name in RATES} == pytest.approx(wanted)
            assert all(i.low <= i.mean <= i.high for i in rates.values())
            assert any(i.low < i.high for i in rates.values())


def test_a_class_that_is_nowhere_has_no_sensitivity_and_nothing_warns():
    p = np.eye(3)[[0, 0, 1, 1]]
    rates = rates_of(_found(Classification(3), p, np.array([0, 0, 1, 1])))
    assert np.isnan(rates[2]["sensitivity"].mean)
    assert np.isnan(rates[2]["positive predictive value"].low)
    assert rates[2]["specificity"].mean == 1


def test_images_of_few_patients_say_less():
    p, y = np.eye(2)[[0, 0, 1, 1, 1, 0] * 4], np.array([0, 1] * 12)
    alone = rates_of(_found(Classification(2), p, y))[0]["sensitivity"]
    few = rates_of(_found(Classification(2), p, y, np.arange(24) // 12))[0]["sensitivity"]
    assert (alone.n, few.n) == (24, 2)
    assert few.half > alone.half


def test_a_rate_of_all_images_has_a_width():
    p, y = np.eye(2)[[0] * 3 + [1] * 3], np.array([0] * 3 + [1] * 3)
    for rates in rates_of(_found(Classification(2), p, y)):
        for rate in rates.values():
            assert (rate.mean, rate.high) == (1, 1)
            assert rate.low == pytest.approx(0.4385, abs=1e-4), "Wilson's of 3 of 3"


def test_calibration_is_of_classes_alone():
    data = toys.dataset(shots=6)
    found = answered(build("nearest-centroid", encoder=toys.conv4()).adapt(data), data)
    confidence, right = found.decoded.max(1), found.decoded.argmax(1) == found.y
    bins = np.minimum((5 * confidence).astype(int), 4)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins)]
    error = calibration_error(found)
    assert error is not None
    assert error.mean == pytest.approx(sum(gaps) / len(right))
    assert error.low <= error.mean <= error.high
    numbers = replace(found, task=Regression(1), decoded=torch.rand(18, 1).numpy())
    assert calibration_error(numbers) is None
    assert rates_of(numbers) == []
