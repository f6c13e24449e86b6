"""A moved point becomes a line; what is even stays."""

import numpy as np

from medshot.data.corruptions.resolution import motion


def test_a_point_becomes_a_line_of_the_same_light():
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    found = motion(point, 1.0, np.random.default_rng(0))[0]
    np.testing.assert_allclose(found.sum(), 1)
    rows, columns = np.nonzero(found > 1e-9)
    spread = np.linalg.svd(np.stack([rows - 20.0, columns - 20.0]), compute_uv=False)
    assert spread[1] < 0.4 * spread[0]  # long one way, thin the other
    assert 5 < np.hypot(np.ptp(rows), np.ptp(columns)) < 12  # 0.15 of 41 pixels


def test_an_even_image_stays():
    flat = np.full((3, 16, 16), 0.4)
    np.testing.assert_allclose(motion(flat, 1.0, np.random.default_rng(0)), flat)
