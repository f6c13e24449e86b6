"""Rates against counting image by image, and their intervals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import toys
from medshot.api.evaluation import RATES, calibration_error, rates_of
from medshot.evaluation.cross_validation import OutOfFold, answered
from medshot.learners.registry import build
from medshot.tasks import Classification, MultiLabel, Ordinal, Regression


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


def test_patients_are_drawn_whole():
    p, y = np.eye(2)[[0, 0, 1, 1, 1, 0] * 4], np.array([0, 1] * 12)
    alone = rates_of(_found(Classification(2), p, y))[0]["sensitivity"]
    few = rates_of(_found(Classification(2), p, y, np.arange(24) // 12))[0]["sensitivity"]
    assert (alone.n, few.n) == (24, 2)
    assert few.half < alone.half  # both patients are alike here: whom one draws is no matter


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
