"""Large volumes in parts: a support set that fits in memory."""

import itertools

import torch
from jaxtyping import Bool
from torch import Tensor

from medshot.core.episode import Examples

SIDE = 96  # voxels: what is larger is cut


def patches(examples: Examples, side: int = SIDE) -> Examples:
    """`examples` cut into parts of at most `side` voxels a side, if they are larger.

    All parts that show something but background are kept, and as many of those that do not,
    evenly over all. Parts of one patient stay that patient's.
    """
    sides = examples.x.shape[2:]
    if max(sides) <= side:
        return examples
    parts = [_cut(examples, corner, side) for corner in itertools.product(*map(_starts, sides))]
    x, y = torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts])
    groups = None if examples.groups is None else torch.cat([examples.groups] * len(parts))
    return Examples(x, y, groups)[_kept((y > 0).flatten(1).any(1), (y >= 0).flatten(1).any(1))]


def _starts(side: int) -> list[int]:
    """Where parts begin along one axis: the last one ends where the volume does."""
    return sorted({min(start, max(0, side - SIDE)) for start in range(0, side, SIDE)})


def _cut(examples: Examples, corner: tuple[int, ...], side: int) -> Examples:
    place = tuple(slice(start, start + side) for start in corner)
    return Examples(examples.x[(..., *place)], examples.y[(..., *place)])


def _kept(marked: Bool[Tensor, "n"], known: Bool[Tensor, "n"]) -> Tensor:
    """Positions of the marked parts, and of as many others that somebody has looked at."""
    plain = (known & ~marked).nonzero().flatten()
    wanted = min(len(plain), max(1, int(marked.sum())))
    evenly = torch.linspace(0, len(plain) - 1, wanted).round().long() if wanted else plain[:0]
    return torch.cat([marked.nonzero().flatten(), plain[evenly]]).sort().values
