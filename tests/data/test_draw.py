"""Outlines: where they are, and in which colours."""

import numpy as np

from medshot.data.draw import COLORS, colours, outlined


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
