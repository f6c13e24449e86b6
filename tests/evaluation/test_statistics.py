import math

import numpy as np
import pytest
from scipy import stats

from medshot.core.errors import ShapeError
from medshot.evaluation.statistics import Z95, mean_interval, paired


def test_the_interval_is_the_normal_one() -> None:
    values = np.random.default_rng(0).beta(4, 2, 600)
    found = mean_interval(values)
    low, high = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    assert found.mean == pytest.approx(values.mean())
    assert found.n == 600
    assert found.half == pytest.approx(Z95 * stats.sem(values))
    assert str(found) == f"{values.mean():.4f} ± {found.half:.4f}"


def test_it_is_near_that_of_the_bootstrap() -> None:
    values = np.random.default_rng(1).binomial(15, 0.9, 600) / 15
    drawn = stats.bootstrap((values,), np.mean, n_resamples=2000, rng=np.random.default_rng(2))
    found = mean_interval(values)
    expected = drawn.confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.001)


def test_it_covers_the_truth_95_times_in_a_hundred() -> None:
    rng = np.random.default_rng(3)
    runs = 2000
    right = 0
    for accuracies in rng.binomial(25, 0.8, (runs, 200)) / 25:
        found = mean_interval(accuracies)
        right += found.low <= 0.8 <= found.high
    assert right / runs == pytest.approx(0.95, abs=0.015)  # 3 standard errors of the simulation


def test_pairing_shows_a_small_difference_that_is_lost_without() -> None:
    rng = np.random.default_rng(4)
    difficulty = rng.normal(0.7, 0.1, 600)
    first = difficulty + 0.005 + rng.normal(0, 0.01, 600)
    second = difficulty + rng.normal(0, 0.01, 600)
    apart = mean_interval(first), mean_interval(second)
    assert apart[0].low < apart[1].high
    together = paired(first, second)
    assert 0 < together.low < 0.005 < together.high
    swapped = paired(second, first)
    assert (swapped.low, swapped.high) == pytest.approx((-together.high, -together.low))


def test_pairing_finds_no_difference_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(400):
        difficulty = rng.normal(0.7, 0.1, 200)
        found = paired(*(difficulty + rng.normal(0, 0.05, (2, 200))))
        seen += not found.low <= 0 <= found.high
    assert seen / 400 == pytest.approx(0.05, abs=0.035)


def test_values_that_are_not_defined_are_left_out_and_counted_out() -> None:
    values = np.array([0.5, math.nan, 0.7, 0.9])
    assert mean_interval(values) == mean_interval(np.array([0.5, 0.7, 0.9]))
    assert paired(values, np.array([0.4, 0.5, math.nan, 0.8])).n == 2


@pytest.mark.parametrize(("values", "mean"), [([0.5], 0.5), ([], math.nan), ([math.nan], math.nan)])
def test_of_less_than_two_there_is_no_interval(values: list[float], mean: float) -> None:
    found = mean_interval(np.array(values))
    assert found.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_two_lists_of_other_lengths_cannot_be_paired() -> None:
    with pytest.raises(ShapeError, match="3 and 4 episodes"):
        paired(np.zeros(3), np.zeros(4))
