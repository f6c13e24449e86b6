"""An image of any size, tile by tile: what memory holds does not grow with the image."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

TILE, MARGIN = 512, 32  # pixels; the margin is what a tile sees of its neighbours


def in_tiles(
    ask: Callable[[Tensor], Tensor], x: Float[Tensor, "c h w"], tile: int = TILE
) -> Float[Tensor, "k h w"]:
    """What `ask` gives for images `1 c h w`, put together from tiles that overlap.

    It is the answer for the whole image wherever no more than `MARGIN` pixels on each side count.
    """
    height, width = x.shape[1:]
    if height <= tile + MARGIN and width <= tile + MARGIN:
        return ask(x[None])[0]
    rows = [
        torch.cat([_tile(ask, x, down, across) for across in _spans(width, tile)], 2)
        for down in _spans(height, tile)
    ]
    return torch.cat(rows, 1)


def _spans(length: int, tile: int) -> Iterator[tuple[int, int]]:
    for start in range(0, length, tile):
        yield start, min(start + tile, length)


def _tile(
    ask: Callable[[Tensor], Tensor],
    x: Float[Tensor, "c h w"],
    down: tuple[int, int],
    across: tuple[int, int],
) -> Float[Tensor, "k t u"]:
    """The answer for one tile: asked with a margin, which is cut off again."""
    (top, bottom), (left, right) = down, across
    above, before = min(MARGIN, top), min(MARGIN, left)
    seen = x[:, top - above : bottom + MARGIN, left - before : right + MARGIN]
    found = ask(seen[None])[0]
    return found[:, above : above + bottom - top, before : before + right - left]
