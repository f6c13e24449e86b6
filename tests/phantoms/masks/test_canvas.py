"""Canvas: what is painted where."""

import numpy as np
import pytest

from medshot.phantoms.masks.canvas import (
    Canvas,
    coordinates,
    ellipsoid,
    marked_things,
    tight_boxes,
    turn,
)


@pytest.mark.parametrize("shape", [(50, 60), (20, 24, 28)])
def test_an_ellipsoid_is_where_its_formula_says(shape: tuple[int, ...]) -> None:
    axes = len(shape)
    body = ellipsoid(np.random.default_rng(0), [0.1] * axes, 0.4, 1.5)
    canvas = Canvas(shape)
    assert canvas.paint(*canvas.inside(body), 3) == 1
    away = coordinates(shape).reshape(axes, -1).T - body.centre
    within = (np.linalg.norm(away @ body.matrix.T, axis=1) < 1).reshape(shape)
    assert np.array_equal(canvas.tissue == 3, within)
    assert np.array_equal(canvas.thing == 1, within)
    volume = {2: np.pi, 3: 4 / 3 * np.pi}[axes] * 0.4**axes / 2**axes
    assert within.mean() == pytest.approx(volume, rel=0.05)


def test_bent_coordinates_bend_and_the_window_still_holds_all() -> None:
    body = ellipsoid(np.random.default_rng(0), [0.0, 0.0], 0.4)
    canvas, straight = Canvas((64, 64)), Canvas((64, 64))
    canvas.bend(np.random.default_rng(1), 0.1, 4)
    window, inside = canvas.inside(body)
    everywhere = np.linalg.norm(canvas.at, axis=0) < 0.4
    assert inside.sum() == everywhere.sum()
    assert np.array_equal(everywhere[window], inside)
    assert not np.array_equal(everywhere, np.linalg.norm(straight.at, axis=0) < 0.4)


def test_things_keep_to_what_they_may_lie_on_and_grow_by_more() -> None:
    canvas = Canvas((32, 32))
    big, small = (ellipsoid(np.random.default_rng(0), [0.0, 0.0], r) for r in (0.6, 0.3))
    first = canvas.paint(*canvas.inside(small), 1)
    assert canvas.paint(*canvas.inside(big), 2, onto=(0,), within=first) == 2
    assert (canvas.tissue == 1).sum() == canvas.inside(small)[1].sum()
    assert canvas.paint(*canvas.inside(small), 3, onto=(7,)) == 0
    assert canvas.paint(*canvas.inside(small), 3, more_of=2) == 2
    assert set(np.unique(canvas.thing)) == {0, 2}
    assert canvas.parts == [(0, 0), (1, 0), (2, 1)]


def test_ground_is_no_thing() -> None:
    canvas = Canvas((32, 32))
    canvas.paint(*canvas.inside(ellipsoid(np.random.default_rng(0), [0.0, 0.0], 0.5)), 1)
    canvas.all(np.ones((32, 32), bool), 2)
    assert (canvas.tissue == 2).all()
    assert (canvas.thing == 0).all()


def test_turns_are_rotations() -> None:
    for axes in (2, 3):
        matrix = turn(np.random.default_rng(0), axes)
        assert np.allclose(matrix @ matrix.T, np.eye(axes))


def test_outside_the_grid_nothing_is_painted() -> None:
    canvas = Canvas((32, 32))
    body = ellipsoid(np.random.default_rng(0), [3.0, 3.0], 0.2)
    assert canvas.paint(*canvas.inside(body), 1) == 0
    assert (canvas.tissue == 0).all()


# Things: which number a pixel gets, and the boxes.


def _nested() -> Canvas:
    """A cell of tissue 1 with a nucleus of tissue 2."""
    canvas, all_of_it = Canvas((10, 12)), (slice(None), slice(None))
    rows, columns = np.indices((10, 12))
    cell = canvas.paint(all_of_it, (rows < 6) & (columns > 3), 1)
    canvas.paint(all_of_it, (rows < 3) & (columns > 8), 2, within=cell)
    return canvas


def test_parts_of_one_class_have_one_number() -> None:
    canvas = _nested()
    whole = marked_things(canvas, np.array([0, 1, 1], np.uint8))
    assert np.array_equal(whole > 0, canvas.tissue > 0)
    assert len(np.unique(whole)) == 2
    apart = marked_things(canvas, np.array([0, 1, 2], np.uint8))
    assert len(np.unique(apart)) == 3
    inner = marked_things(canvas, np.array([0, 0, 1], np.uint8))
    assert np.array_equal(inner > 0, canvas.tissue == 2)


def test_boxes_end_one_past_the_last_pixel() -> None:
    label = np.array([0, 1, 2], np.uint8)
    canvas = _nested()
    boxes = tight_boxes(marked_things(canvas, label), label[canvas.tissue], 4)
    assert boxes.tolist() == [[4, 0, 12, 6, 1], [9, 0, 12, 3, 2]]
    assert tight_boxes(np.zeros((4, 4), np.int32), np.zeros((4, 4), np.uint8), 4).shape == (0, 5)
    assert len(tight_boxes(marked_things(canvas, label), label[canvas.tissue], 10)) == 1
