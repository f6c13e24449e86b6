"""Pictures of boxes and points on their images."""

from pathlib import Path

import numpy as np
from PIL import Image

from medshot.core import BoxPrediction, PointPrediction
from medshot.data.draw import COLORS
from medshot.presenters.mark_overlay import mark_overlay
from medshot.presenters.overlay import LARGEST, LINE, SMALLEST


def _gray(path: Path, shape: tuple[int, int]) -> str:
    Image.fromarray(np.random.default_rng(0).integers(0, 9, shape, np.uint8)).save(path)
    return str(path)


def test_boxes_that_are_counted_are_drawn_in_the_colors_of_the_legend(tmp_path: Path) -> None:
    boxes = np.array([[10.0, 10, 110, 60], [200, 100, 260, 140], [5, 5, 15, 15]])
    labels, scores = ("cell", "debris", "cell"), np.array([0.9, 0.6, 0.2])
    path = _gray(tmp_path / "a.png", (200, 300))
    picture = mark_overlay(BoxPrediction(path, boxes, labels, scores, (300, 200)), labels[:2])
    assert picture.size == (300, 200 + 2 * LINE)
    shown = np.asarray(picture)
    assert (shown[10, 10:110] == COLORS[1]).all()
    assert (shown[100, 200:260] == COLORS[2]).all()
    assert not (shown[5, 5:10] == COLORS[1]).all(1).any()  # its score is below 0.5
    inside = shown[12:30, 12:60]
    assert inside.max() > 50  # the name of the class: there is no room above


def test_points_are_crosses_on_a_reduced_or_enlarged_image(tmp_path: Path) -> None:
    for side, long in ((64, SMALLEST), (2048, LARGEST)):
        at = np.array([[side / 2, side / 4]])
        path = _gray(tmp_path / f"{side}.png", (side, side))
        found = PointPrediction(path, at, ("cell",), np.array([0.8]), (side, side))
        picture = mark_overlay(found, ("cell",))
        assert picture.size == (long, long + LINE)
        ys, xs = np.nonzero((np.asarray(picture)[:long] == COLORS[1]).all(2))
        assert abs(ys.mean() - long / 4) < 2
        assert abs(xs.mean() - long / 2) < 2


def test_nothing_found_is_said(tmp_path: Path) -> None:
    path = _gray(tmp_path / "a.png", (30, 30))
    none = BoxPrediction(path, np.zeros((0, 4)), (), np.zeros(0), (30, 30))
    assert mark_overlay(none, ("cell",)).size == (SMALLEST, SMALLEST + LINE)
