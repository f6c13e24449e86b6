"""Things: which pixels are of one cell or organ, and the box around them."""

import numpy as np
from jaxtyping import Int32, Int64, UInt8
from numpy import ndarray
from scipy import ndimage

from medshot.data.phantoms.scenes.canvas import Canvas


def marked_things(canvas: Canvas, label: UInt8[ndarray, "t"]) -> Int32[ndarray, "*s"]:
    """A number a marked thing, 0 elsewhere. Parts that are marked as one class are one thing."""
    numbers = np.zeros(len(canvas.parts), np.int32)
    for thing, (tissue, within) in enumerate(canvas.parts):
        if label[tissue]:
            same = within and label[tissue] == label[canvas.parts[within][0]]
            numbers[thing] = numbers[within] if same else thing
    return numbers[canvas.thing]


def tight_boxes(
    things: Int32[ndarray, "*s"], mask: UInt8[ndarray, "*s"], least: int
) -> Int64[ndarray, "m v"]:
    """The box of each thing of at least so many pixels, then its label; the last axis first."""
    rows = []
    sizes = np.bincount(things.ravel())
    for number, window in enumerate(ndimage.find_objects(things), 1):
        if window is None or sizes[number] < least:
            continue
        held = things[window] == number
        across = window[::-1]
        ends = [side.start for side in across] + [side.stop for side in across]
        rows.append([*ends, int(mask[window][held][0])])
    return np.array(rows, np.int64).reshape(len(rows), 2 * things.ndim + 1)
