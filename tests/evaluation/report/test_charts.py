""""""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from medshot.evaluation.report import Confusion, Estimate, MetricRow, MetricsTable, Reliability
from medshot.evaluation.report.charts import (
    SCATTER_SIDE,
    Axis,
    axis_for,
    axis_strip,
    interval_strip,
    reliability_diagram,
    row_shares,
    scatter,
    shared_axis_rows,
    step_of,
)
from medshot.evaluation.report.model import Scatter


def test_a_strip_draws_the_dot_the_bar_and_chance_where_they_belong() -> None:
    svg = ET.fromstring(
        interval_strip("m", Estimate(0.5, 0.25, 0.75, 9), Axis(0, 1), chance=0.1, leads=True)
    )
    dot, bar, chance = (svg.find(f"*[@class='{kind}']") for kind in ("dot", "bar", "chance"))
    assert dot is not None
    assert bar is not None
    assert chance is not None
    assert (dot.get("cx"), bar.get("x1"), bar.get("x2")) == ("50.00%", "25.00%", "75.00%")
    assert chance.get("x1") == "10.00%"


def test_a_strip_without_a_value_says_so_and_draws_no_dot() -> None:
    nothing = Estimate(math.nan, math.nan, math.nan, 0, "no positives")
    svg = interval_strip("<b>", nothing, Axis(0, 1), chance=None, leads=False)
    assert ">undefined<" in svg
    assert "circle" not in svg
    assert "nan%" not in svg
    assert ET.fromstring(svg).get("aria-label", "").startswith("<b>: undefined")


def test_the_axis_numbers_are_drawn() -> None:
    assert [text.text for text in ET.fromstring(axis_strip(Axis(0.8, 1.0)))] == [
        "0.8",
        "0.9",
        "1.0",
    ]


def test_rows_of_the_confusion_matrix_become_shares() -> None:
    shares = row_shares(Confusion(("a", "b"), np.array([[3, 1], [0, 0]])))
    assert shares[0].tolist() == [0.75, 0.25]
    assert np.isnan(shares[1]).all()


def test_the_reliability_diagram_leaves_out_empty_bins() -> None:
    confidence, accuracy = np.array([0.5, np.nan]), np.array([0.25, np.nan])
    svg = ET.fromstring(reliability_diagram(Reliability(confidence, accuracy, np.array([4, 0]))))
    (dot,) = svg.findall("circle")
    assert (dot.get("cx"), dot.get("cy")) == ("120.0", "180.0")


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
    assert [row.name for row in shared_axis_rows(table)] == ["R2"]


def _dots(truth: list[float], answer: list[float]) -> list[tuple[float, float]]:
    svg = ET.fromstring(
        scatter(Scatter("mm", np.array(truth, dtype=float), np.array(answer, dtype=float)))
    )
    found = svg.findall("*[@class='dot']")
    return [(float(dot.get("cx", "")), float(dot.get("cy", ""))) for dot in found]


def test_a_right_answer_is_on_the_diagonal_and_a_large_one_above() -> None:
    right, large = _dots([10.0, 20.0], [10.0, 40.0])
    assert abs(right[0] + right[1] - SCATTER_SIDE) < 0.2
    assert large[1] < SCATTER_SIDE - large[0]


def test_one_value_for_all_can_be_drawn() -> None:
    assert len(_dots([3.0, 3.0], [3.0, 3.0])) == 2
