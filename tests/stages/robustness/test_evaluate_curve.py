"""The plot: every point where it belongs, names written and not obeyed."""

import re
from xml.etree import ElementTree

import pytest

from medshot.core.errors import ConfigError
from medshot.evaluation.statistics import Interval
from medshot.stages.robustness.evaluate import HEIGHT, WIDTH, curve

LINE = [
    ("0", 0.0, Interval(1.0, 0.9, 1.0, 10)),
    ("4/255", 4 / 255, Interval(0.5, 0.4, 0.6, 10)),
    ("8/255", 8 / 255, Interval(0.0, 0.0, 0.1, 10)),
]


def _points(svg: str) -> list[list[float]]:
    lines = re.findall(r'polyline points="([^"]+)"', svg)
    return [[float(v) for pair in line.split() for v in pair.split(",")] for line in lines]


def test_points_lie_where_their_numbers_are():
    (found,) = _points(curve({"PGD": LINE}, "accuracy"))
    assert found == [0, 0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT]


def test_it_is_one_whole_svg_with_every_name_and_epsilon():
    svg = curve({"a <b> & c": LINE, "other": LINE}, "accuracy", "title")
    texts = [e.text for e in ElementTree.fromstring(svg).iter() if e.tag.endswith("text")]
    for word in ("a <b> & c", "other", "accuracy", "title", "epsilon", "0", "4/255", "8/255"):
        assert word in texts
    assert len(_points(svg)) == 2
    assert svg == curve({"a <b> & c": LINE, "other": LINE}, "accuracy", "title")


def test_scores_below_zero_widen_the_frame():
    low = [LINE[0], ("4/255", 4 / 255, Interval(-1.0, -1.5, -0.5, 10))]
    (found,) = _points(curve({"R2": low}, "R2"))
    assert found[3] == pytest.approx(HEIGHT * 2 / 2.5)
    assert found[3] < HEIGHT


def test_nothing_to_draw_is_refused():
    with pytest.raises(ConfigError, match="epsilon above 0"):
        curve({"PGD": LINE[:1]}, "accuracy")
