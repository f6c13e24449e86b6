"""Large volumes answered in overlapping windows, so that memory does not grow with them."""

import itertools
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

SIDE = 96  # voxels a side of a window
OVERLAP = 0.25  # of a window, with the next


def in_windows(
    answer: Callable[[Tensor], Tensor], x: Float[Tensor, "n c z h w"], side: int = SIDE
) -> Float[Tensor, "n k z h w"]:
    """`answer(x)`, in windows of at most `side` voxels a side if `x` is larger.

    Where windows overlap, answers are averaged, those near the middle of their window weighing
    more: they have seen more around them.
    """
    sides = tuple(x.shape[2:])
    if max(sides) <= side:
        return answer(x)
    total = weights = torch.zeros(())
    for place in _places(sides, side):
        found = answer(x[(..., *place)])
        weight = _middle(found.shape[2:]).to(found)
        if total.ndim == 0:
            total, weights = found.new_zeros(*found.shape[:2], *sides), found.new_zeros(sides)
        total[(..., *place)] += weight * found
        weights[place] += weight
    return total / weights


def _places(sides: tuple[int, ...], side: int) -> Iterator[tuple[slice, ...]]:
    step = round(side * (1 - OVERLAP))
    starts = [sorted({min(start, max(0, n - side)) for start in range(0, n, step)}) for n in sides]
    for corner in itertools.product(*starts):
        yield tuple(slice(at, min(at + side, n)) for at, n in zip(corner, sides, strict=True))


def _middle(sides: torch.Size) -> Tensor:
    """Weights that fall towards the border, nowhere to 0."""
    falls = [torch.minimum(torch.arange(n) + 1, n - torch.arange(n)) / n for n in sides]
    z, h, w = falls
    return z[:, None, None] * h[:, None] * w
