"""Images as ``data:`` URIs, so that a report needs no other file."""

import base64
import io

import numpy as np
from PIL import Image

from medshot.evaluation.report.content import Pixels

LONGEST_SIDE = 192
"""Pixels; twice the size on the page, so that print and dense screens stay sharp."""


def thumbnail(pixels: Pixels, longest_side: int = LONGEST_SIDE) -> str:
    """Return an image ``c h w`` as a PNG data URI, shrunk to the longest side, never enlarged.

    Raises TypeError where the pixels are not uint8 and ValueError where c is not 1 or 3 or a side
    is empty.
    """
    image = _to_pillow(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _to_pillow(pixels: Pixels) -> Image.Image:
    if pixels.dtype != np.uint8:
        raise TypeError(f"a thumbnail needs uint8 pixels, got {pixels.dtype}")
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"a thumbnail needs pixels c h w with c 1 or 3, got shape {pixels.shape}")
    if pixels.shape[0] == 1:
        return Image.fromarray(np.ascontiguousarray(pixels[0]))
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
