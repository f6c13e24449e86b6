"""Outlines to masks, and boxes around them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from medshot import DataError
from medshot.data.layouts.regions import Region, draw, fill, outline_of
from toys.layouts import HEIGHT, SPOT, WIDTH, spot_truth

XMIN, YMIN, XMAX, YMAX = (float(side) for side in SPOT)
SQUARE = ((XMIN, YMIN), (XMAX, YMIN), (XMAX, YMAX), (XMIN, YMAX))


def test_a_rectangle_covers_its_pixels() -> None:
    assert np.array_equal(fill([SQUARE], (HEIGHT, WIDTH)), spot_truth().astype(bool))


def test_a_polygon_against_a_slow_rule(rng: np.random.Generator) -> None:
    outline = [tuple(p) for p in rng.uniform(-5, 45, (9, 2)).tolist()]

    def inside(x: float, y: float) -> bool:
        crossed = 0
        for (xa, ya), (xb, yb) in zip(outline, [*outline[1:], outline[0]], strict=True):
            if (ya <= y) != (yb <= y):
                crossed += xa + (y - ya) * (xb - xa) / (yb - ya) <= x
        return crossed % 2 == 1

    want = [[inside(x + 0.5, y + 0.5) for x in range(WIDTH)] for y in range(HEIGHT)]
    assert np.array_equal(fill([tuple(outline)], (HEIGHT, WIDTH)), np.array(want))


def test_a_triangle_is_near_to_pillow() -> None:
    triangle = ((3.0, 4.0), (40.0, 8.0), (20.0, 35.0))
    drawn = Image.new("1", (WIDTH, HEIGHT))
    ImageDraw.Draw(drawn).polygon([(x - 0.5, y - 0.5) for x, y in triangle], fill=1)
    differs = (np.asarray(drawn) != fill([triangle], (HEIGHT, WIDTH))).sum()
    assert differs < 0.1 * np.asarray(drawn).sum()


def test_the_later_region_lies_on_top() -> None:
    small = ((10.0, 8.0), (20.0, 8.0), (20.0, 15.0), (10.0, 15.0))
    regions = [Region("a", "", outlines=(SQUARE,)), Region("b", "", outlines=(small,))]
    mask = draw(regions, {"a": 1, "b": 2}, (HEIGHT, WIDTH))
    assert mask[9, 12] == 2
    assert mask[6, 9] == 1
    assert (mask > 0).sum() == spot_truth().sum()


def test_an_outline_is_pairs() -> None:
    assert outline_of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], Path("x"), "") == ((1, 2), (3, 4), (5, 6))
    with pytest.raises(DataError, match="no polygon"):
        outline_of([1.0, 2.0, 3.0, 4.0, 5.0], Path("x"), "")
