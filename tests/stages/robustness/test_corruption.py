"""Answers for corrupted images: pooled over kinds and severities, compared with the clean."""

import numpy as np
import pytest

from medshot.evaluation.cross_validation import answered
from medshot.stages.robustness.corruption import FAMILIES, corrupted, corruptions, lost, pooled
from stages.robustness.test_evaluate import model


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr("medshot.evaluation.cross_validation.DRAWS", 20)


def test_a_family_is_all_its_kinds_and_severities_together():
    predictor, data = model()
    found = corruptions(predictor, data, severities=(1, 5))
    assert list(found) == list(FAMILIES)
    noise = found["noise"]
    assert len(noise.answers) == 2 * len(FAMILIES["noise"])
    values = [a.interval("accuracy").mean for a in noise.answers.values()]
    assert noise.all().interval("accuracy").mean == pytest.approx(np.mean(values))
    change = lambda shown: corrupted(shown.x, "impulses", 5)  # noqa: E731
    expected = answered(predictor, data, change).decoded
    np.testing.assert_allclose(noise.answers["impulses", 5].decoded, expected)
    record = noise.to_json()
    assert set(record["kinds"]) == set(FAMILIES["noise"])
    assert record["balanced accuracy"]["mean"] == pytest.approx(np.mean(values), abs=0.02)


def test_copies_of_a_patient_stay_one_patient_and_lose_nothing_to_themselves():
    predictor, data = model()
    clean = answered(predictor, data)
    twice = pooled([clean, clean])
    one, both = clean.interval("accuracy"), twice.interval("accuracy")
    assert (both.mean, both.n) == (one.mean, one.n)
    assert both.half == pytest.approx(one.half, rel=0.15)  # as the copies may differ elsewhere
    assert lost(clean, twice).mean == 0
    assert lost(clean, twice).high == 0


def test_what_is_lost_is_the_difference_to_the_clean():
    predictor, data = model()
    clean = answered(predictor, data)
    worse = answered(predictor, data, lambda shown: 1 - shown.x)
    metric = clean.task.leading
    gone = clean.interval(metric).mean - worse.interval(metric).mean
    assert lost(clean, pooled([worse, worse])).mean == pytest.approx(gone)
