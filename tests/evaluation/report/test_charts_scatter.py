import xml.etree.ElementTree as ET

import numpy as np

from medshot.evaluation.report.charts import SCATTER_SIDE, scatter
from medshot.evaluation.report.model import Scatter


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
