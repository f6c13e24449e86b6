"""Boxes as people look at them: frames on the image."""

import numpy as np
from jaxtyping import Float, Integer, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from medshot.data.outline import colours


def framed(
    pixels: UInt8[ndarray, "c h w"], boxes: Float[ndarray, "m 4"], labels: Integer[ndarray, "m"]
) -> UInt8[ndarray, "3 h w"]:
    """The image with a frame around each box, in the colour of its class; corners are shares."""
    height, width = pixels.shape[1:]
    drawn = np.broadcast_to(pixels, (3, height, width)).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(drawn))
    pen = ImageDraw.Draw(image)
    ends = np.array([width, height, width, height])
    paint = colours(int(labels.max(initial=0)) + 2)[1:]  # the first colour is for background
    for corners, label in zip(boxes, labels, strict=True):
        xmin, ymin, xmax, ymax = np.round(corners * ends).astype(int).tolist()
        pen.rectangle(
            (xmin, ymin, max(xmin, xmax - 1), max(ymin, ymax - 1)),
            None,
            tuple(paint[label].tolist()),
        )
    return np.asarray(image).transpose(2, 0, 1)
