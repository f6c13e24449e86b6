""""""

import numpy as np
import pytest

from medshot.phantoms.fields import Purpose, ellipse, grid, rotate, smooth_noise, soft_step, stream


def test_the_grid_spans_minus_one_to_one_at_pixel_centres() -> None:
    x, y = grid(4)
    assert x[0].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert y[:, 0].tolist() == [-0.75, -0.25, 0.25, 0.75]


def test_a_quarter_turn_exchanges_the_axes() -> None:
    x, y = grid(8)
    turned_x, turned_y = rotate(x, y, np.pi / 2)
    np.testing.assert_allclose(turned_x, y, atol=1e-6)
    np.testing.assert_allclose(turned_y, -x, atol=1e-6)


def test_a_soft_step_is_half_at_the_edge() -> None:
    depth = np.array([-1.0, 0.0, 1.0], np.float32)
    assert soft_step(depth, 0.1).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("size", [32, 128])
def test_an_ellipse_covers_its_area_at_every_resolution(size: int) -> None:
    x, y = grid(size)
    share = float(ellipse(x, y, (0.1, -0.1), (0.5, 0.3)).mean())
    assert share == pytest.approx(np.pi * 0.5 * 0.3 / 4.0, rel=0.05)


def test_smooth_noise_has_unit_variance_and_no_mean() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([smooth_noise(rng, 32, 6) for _ in range(200)])
    assert abs(float(values.mean())) < 0.05
    assert float(values.std()) == pytest.approx(1.0, abs=0.05)


def test_fewer_bumps_across_make_horizontal_streaks() -> None:
    field = smooth_noise(np.random.default_rng(0), 64, 16, 4)
    down, across = (float(np.abs(np.diff(field, axis=axis)).mean()) for axis in (0, 1))
    assert down > 2.0 * across


def test_smooth_noise_is_the_same_field_at_every_resolution() -> None:
    small = smooth_noise(np.random.default_rng(3), 32, 4)
    large = smooth_noise(np.random.default_rng(3), 64, 4)
    shrunk = large.reshape(32, 2, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(small, shrunk, atol=0.05)


def test_a_stream_is_known_by_its_address() -> None:
    assert stream(Purpose.NOISE, 1, 2).random() == stream(Purpose.NOISE, 1, 2).random()


def test_streams_do_not_overlap() -> None:
    addresses = [(purpose, a, b) for purpose in Purpose for a in range(5) for b in range(5)]
    first = {stream(*address).random() for address in addresses}
    assert len(first) == len(addresses)


def test_the_numbers_are_the_same_on_every_machine() -> None:
    assert stream(Purpose.TASK, 0).integers(0, 1000, 4).tolist() == [473, 511, 755, 950]
