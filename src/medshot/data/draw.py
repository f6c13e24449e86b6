"""Overlay of mask outlines and boxes on images; the color palette of mask files."""

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

# Okabe & Ito 2008: a palette for color-blind readers. The first is background.
COLORS = np.array(
    [
        (0, 0, 0),
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ],
    dtype=np.uint8,
)


def colours(k: int) -> UInt8[ndarray, "k 3"]:
    """A color for each class; after the eighth they repeat, without black."""
    return COLORS[[c if c < len(COLORS) else 1 + (c - 1) % (len(COLORS) - 1) for c in range(k)]]


def outlined(pixels: UInt8[ndarray, "c h w"], mask: Int[ndarray, "h w"]) -> UInt8[ndarray, "3 h w"]:
    """The image with the outline of every foreground class in its color."""
    drawn = np.broadcast_to(pixels, (3, *pixels.shape[1:])).copy()
    edges = _edges(mask)
    drawn[:, edges] = colours(int(mask.max()) + 1)[mask[edges]].T
    return drawn


COVER = 0.35  # opacity of marked areas in an overlay


def overlaid(pixels: UInt8[ndarray, "c h w"], mask: Int[ndarray, "h w"]) -> UInt8[ndarray, "3 h w"]:
    """The image with every foreground class tinted in its color, and its outline."""
    drawn = np.broadcast_to(pixels, (3, *pixels.shape[1:])).astype(np.float32)
    marked = mask > 0
    paint = colours(int(mask.max()) + 1)[mask[marked]].T
    drawn[:, marked] = (1 - COVER) * drawn[:, marked] + COVER * paint
    return outlined(drawn.round().astype(np.uint8), mask)


def _edges(mask: Int[ndarray, "h w"]) -> Bool[ndarray, "h w"]:
    """Foreground pixels with a 4-neighbor of another class."""
    wide = np.pad(mask, 1, mode="edge")
    around = wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]
    return (mask > 0) & np.any([mask != other for other in around], 0)


def framed(
    pixels: UInt8[ndarray, "c h w"],
    boxes: Float[ndarray, "m 4"],
    labels: Integer[ndarray, "m"],
    *,
    round: bool = False,
) -> UInt8[ndarray, "3 h w"]:
    """The image with each box in the color of its class; corners are fractions of the image.

    With `round`, an ellipse in place of each box.
    """
    height, width = pixels.shape[1:]
    drawn = np.broadcast_to(pixels, (3, height, width)).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(drawn))
    pen = ImageDraw.Draw(image)
    ends = np.array([width, height, width, height])
    paint = colours(int(labels.max(initial=0)) + 2)[1:]  # the first colour is for background
    for corners, label in zip(boxes, labels, strict=True):
        xmin, ymin, xmax, ymax = np.round(corners * ends).astype(int).tolist()
        (pen.ellipse if round else pen.rectangle)(
            (xmin, ymin, max(xmin, xmax - 1), max(ymin, ymax - 1)),
            None,
            tuple(paint[label].tolist()),
        )
    return np.asarray(image).transpose(2, 0, 1)
