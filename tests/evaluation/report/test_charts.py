import math
import xml.etree.ElementTree as ET

import numpy as np

from medshot.evaluation.report import Confusion, Estimate, Reliability
from medshot.evaluation.report.charts import (
    Axis,
    axis_strip,
    interval_strip,
    reliability_diagram,
    row_shares,
)


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
