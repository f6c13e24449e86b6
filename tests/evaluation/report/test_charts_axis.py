import math

import pytest

from medshot.evaluation.report import Estimate, MetricRow, MetricsTable
from medshot.evaluation.report.charts import Axis, axis_for, drawn, step_of


def test_the_axis_covers_every_interval_and_chance(metrics: MetricsTable) -> None:
    axis = axis_for(metrics.rows)
    assert (axis.low, axis.high) == (0.5, 1.0)
    assert axis.ticks() == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert axis.percent(0.75) == "50.00%"


@pytest.mark.parametrize("value", [math.nan, 0.0, 0.5, 1.0])
def test_the_axis_is_never_empty(value: float) -> None:
    row = MetricRow("accuracy", (Estimate(value, value, value, 1),))
    axis = axis_for([row])
    assert axis.high > axis.low


def test_a_long_axis_has_few_ticks() -> None:
    assert Axis(-3.0, 1.0).ticks() == [-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0]
    assert 2 <= len(Axis(-1e6, 1.0).ticks()) <= 11


@pytest.mark.parametrize(
    ("length", "most", "step"), [(1, 10, 0.1), (4, 10, 0.5), (217, 5, 50), (0.003, 3, 0.001)]
)
def test_steps_are_round(length: float, most: int, step: float) -> None:
    assert step_of(length, most) == pytest.approx(step)


def test_what_has_a_unit_of_its_own_shares_no_axis() -> None:
    rows = [MetricRow(name, (Estimate(5.0, 4.0, 6.0, 9),)) for name in ("R2", "error (mm)")]
    table = MetricsTable(("learner",), tuple(rows))
    assert [row.name for row in drawn(table)] == ["R2"]
