""""""

import math

import numpy as np
import pytest

from medshot.evaluation.report import (
    Confusion,
    Difference,
    Estimate,
    MetricRow,
    MetricsTable,
    Reliability,
    ShownPrediction,
    Support,
    SupportImage,
)
from medshot.evaluation.report.model import Scatter

PIXELS = np.zeros((1, 4, 4), dtype=np.uint8)


def test_a_prediction_knows_whether_it_is_right() -> None:
    assert ShownPrediction(PIXELS, "a", "a", 0.9).correct
    assert not ShownPrediction(PIXELS, "a", "b", 0.9).correct


def test_support_images_follow_the_order_of_the_labels() -> None:
    images = tuple(SupportImage(PIXELS, label) for label in ("b", "a", "b"))
    groups = Support(("a", "b", "never shown"), 3, None, images).by_label()
    assert {label: len(shown) for label, shown in groups.items()} == {"a": 1, "b": 2}
    assert list(groups) == ["a", "b"]


def test_a_scatter_is_of_pairs() -> None:
    with pytest.raises(ValueError, match="needs pairs"):
        Scatter("mm", np.zeros(3), np.zeros(2))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.01, 0.2, "better"),
        (-0.2, -0.01, "worse"),
        (-0.1, 0.1, "not distinguishable"),
        (0.0, 0.1, "not distinguishable"),
        (math.nan, 0.1, "undefined"),
    ],
)
def test_verdict_follows_the_interval(low: float, high: float, verdict: str) -> None:
    assert Difference("accuracy", "chance", Estimate(0.05, low, high, 9)).verdict == verdict


def test_a_row_without_one_estimate_for_each_method_is_refused() -> None:
    row = MetricRow("accuracy", (Estimate(0.5, 0.4, 0.6, 3),))
    with pytest.raises(ValueError, match="1 estimates for 2 methods"):
        MetricsTable(("learner", "baseline"), (row,))


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="use None"):
        MetricsTable(("learner",), ())


def test_counts_that_do_not_fit_the_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="2 x 2"):
        Confusion(("a", "b"), np.zeros((2, 3), dtype=np.int64))


def test_reliability_arrays_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Reliability(np.zeros(2), np.zeros(3), np.zeros(2, dtype=np.int64))
