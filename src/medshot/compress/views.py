"""Other views of images that nobody need label: mirrored, moved, laid over each other."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

MOVED = 8  # images are moved by up to one part in so many of their sides


def views(x: Float[Tensor, "n c *s"], seed: int, *, mixed: bool = True) -> Float[Tensor, "n c *s"]:
    """Each image mirrored or not, all moved by one step; if `mixed`, half of them with another one.

    They are for who knows the answers to any image: a label need not be right for them.
    """
    rng = torch.Generator().manual_seed(seed)
    mirrored = torch.rand(len(x), generator=rng).to(x.device) < 0.5
    x = torch.where(_on(mirrored, x), x.flip(-1), x)
    x = _moved(x, rng)
    if not mixed:
        return x
    other = x[torch.randperm(len(x), generator=rng).to(x.device)]
    share = torch.rand(len(x), generator=rng)
    alone = torch.rand(len(x), generator=rng) < 0.5
    share = _on(share.masked_fill(alone, 1.0).to(x), x)
    return share * x + (1 - share) * other


def _on(values: Tensor, x: Tensor) -> Tensor:
    """One value an image, so that it goes for all of the image."""
    return values.view(-1, *[1] * (x.ndim - 1))


def _moved(x: Tensor, rng: torch.Generator) -> Tensor:
    """Along every axis by one random step; borders are repeated."""
    steps = [side // MOVED for side in x.shape[2:]]
    wide = F.pad(x, [s for step in reversed(steps) for s in (step, step)], mode="replicate")
    for axis, (step, side) in enumerate(zip(steps, x.shape[2:], strict=True), 2):
        start = int(torch.randint(2 * step + 1, (), generator=rng))
        wide = wide.narrow(axis, start, side)
    return wide
