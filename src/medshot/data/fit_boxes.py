"""Boxes in pixels of an image as shares of its width and height."""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.data.box_table import IN_PIXELS, Box
from medshot.data.finding import refusal

BEYOND = 1.0  # pixels that a corner may lie outside: some programs count from 1, or round


def shares(boxes: Sequence[Box], width: int, height: int, table: Path) -> Float[Tensor, "m 4"]:
    """The corners of `boxes`, lines of `table`, over the sides of the image that they are on.

    Raises:
        DataError: a box reaches out of the image, or lies beside it.
    """
    for box in boxes:
        xmin, ymin, xmax, ymax = box.corners
        reaches = min(xmin, ymin) < -BEYOND or xmax > width + BEYOND or ymax > height + BEYOND
        if reaches or min(xmax, ymax) <= 0 or xmin >= width or ymin >= height:
            said = ", ".join(f"{corner:g}" for corner in box.corners)
            what = (
                f"the box {said} reaches out of {box.path.name}, which is {width} wide and "
                f"{height} high"
            )
            raise refusal(table, what, IN_PIXELS, box.line).error()
    corners = torch.tensor([box.corners for box in boxes], dtype=torch.float64).view(-1, 4)
    return (corners / torch.tensor([width, height, width, height])).clamp(0, 1).float()
