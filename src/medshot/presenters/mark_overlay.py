"""Pictures of predicted boxes and points on their images, for any viewer: PNG, with names."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from medshot.core import BoxPrediction, PointPrediction
from medshot.data.draw import colours
from medshot.data.io.image import read_image
from medshot.presenters.overlay import LARGEST, SMALLEST, with_legend
from medshot.tasks.boxes import SCORE_THRESHOLD

THICK = 256  # pixels of the long side for each pixel of a line
CROSS = 0.01  # arm of the cross at a point, of the long side


def mark_overlay(found: BoxPrediction | PointPrediction, labels: tuple[str, ...]) -> Image.Image:
    """The image of a prediction with what is counted on it, scores from 0.5 on, and a legend.

    A box has its class above it where there are several classes and it is wide enough for the
    name; a point is a cross. The legend says how many there are of each class. Images are enlarged
    or reduced to a long side of 256 to 1024 pixels.

    Raises:
        DataError: the image is gone.
    """
    pixels = read_image(Path(found.path))
    height, width = pixels.shape[:2]
    long = max(height, width)
    scale = max(SMALLEST / long, 1.0) if long < SMALLEST else min(LARGEST / long, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    color = np.ascontiguousarray(np.broadcast_to(pixels, (height, width, 3)))
    picture = Image.fromarray(color).resize(size, Image.Resampling.BILINEAR)
    pen, paint = ImageDraw.Draw(picture), [tuple(c.tolist()) for c in colours(len(labels) + 1)]
    line = max(1, round(max(size) / THICK))
    arm = max(3, round(CROSS * max(size)))
    marks = found.boxes if isinstance(found, BoxPrediction) else found.points
    for mark, label, score in zip(scale * marks, found.labels, found.scores, strict=True):
        if score < SCORE_THRESHOLD:
            continue
        shade = paint[1 + labels.index(label)]
        if len(mark) == 2:
            x, y = mark.tolist()
            pen.line((x - arm, y, x + arm, y), shade, line)
            pen.line((x, y - arm, x, y + arm), shade, line)
            continue
        left, top, right, bottom = mark.tolist()
        pen.rectangle((left, top, max(right, left + 1), max(bottom, top + 1)), None, shade, line)
        name = label.encode("latin-1", "replace").decode("latin-1")
        _, _, wide, high = pen.textbbox((0, 0), name)
        if len(labels) > 1 and wide <= right - left:
            above = top - high - 2 if top > high + 2 else top + line
            pen.rectangle((left, above, left + wide + 2, above + high + 1), (0, 0, 0))
            pen.text((left + 1, above), name, shade)
    counts = [
        sum(
            n == label and s >= SCORE_THRESHOLD
            for n, s in zip(found.labels, found.scores, strict=True)
        )
        for label in labels
    ]
    names = [f"{label}: {count}" for label, count in zip(labels, counts, strict=True)]
    return with_legend(picture, ["", *names], np.flatnonzero(counts) + 1)
