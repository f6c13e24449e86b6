"""Things: which number a pixel gets, and the boxes."""

import numpy as np

from medshot.phantoms.masks.canvas import Canvas, marked_things, tight_boxes


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
