"""Outlines: where they are, and in which colours."""

import numpy as np

from medshot.data.draw import COLORS, colours, framed, outlined


def test_the_edge_is_drawn_and_the_inside_stays() -> None:
    pixels = np.full((1, 7, 7), 50, np.uint8)
    mask = np.zeros((7, 7), np.int64)
    mask[2:5, 2:5] = 1
    drawn = outlined(pixels, mask)
    assert drawn.shape == (3, 7, 7)
    assert drawn[:, 2, 2].tolist() == COLORS[1].tolist()
    assert drawn[:, 3, 3].tolist() == [50, 50, 50]
    assert drawn[:, 0, 0].tolist() == [50, 50, 50]
    assert (pixels == 50).all()


def test_a_mask_that_fills_the_image_has_no_edge() -> None:
    drawn = outlined(np.zeros((3, 4, 4), np.uint8), np.ones((4, 4), np.int64))
    assert not drawn.any()


def test_there_is_a_colour_for_every_class() -> None:
    found = colours(20)
    assert found.shape == (20, 3)
    assert not found[0].any()
    assert found[1:].any(1).all()


# Frames are where boxes end, in the colour of the class.


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
