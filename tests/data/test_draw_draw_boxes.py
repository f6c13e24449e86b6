"""Frames are where boxes end, in the colour of the class."""

import numpy as np

from medshot.data.draw import COLORS, framed


def test_the_frame_is_the_edge_of_the_box_and_no_more():
    pixels = np.full((1, 10, 20), 7, np.uint8)
    drawn = framed(pixels, np.array([[0.1, 0.2, 0.5, 0.8]]), np.array([1]))
    assert drawn.shape == (3, 10, 20)
    expected = np.zeros((10, 20), bool)
    expected[2:8, 2:10] = True
    expected[3:7, 3:9] = False
    changed = (drawn != 7).any(0)
    assert np.array_equal(changed, expected)
    assert np.array_equal(drawn[:, 2, 2], COLORS[2])


def test_nothing_to_draw_leaves_the_image():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
    drawn = framed(pixels, np.zeros((0, 4)), np.zeros(0, int))
    assert np.array_equal(drawn, pixels)
