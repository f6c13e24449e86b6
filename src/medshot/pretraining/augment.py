"""Augmentations on whole batches: another part of each image, seen in another light.

Every image of a batch is changed in its own way, and all of it follows from the generator, so
that a run that was killed sees the same again. Parts are cut, turned and mirrored in one
resampling: two would blur twice.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core.errors import ConfigError

SMALLEST = 0.5  # the side of the part that is seen, at full strength
TURN = math.pi / 6  # either way
LIGHT, NOISE = 0.4, 0.05


def random_view(
    x: Float[Tensor, "n c h w"], rng: torch.Generator, strength: float
) -> Float[Tensor, "n c h w"]:
    """Another view of each image, in place and in light, still in [0, 1]."""
    return color_jitter(moved(x, rng, strength), rng, strength)


def moved(
    x: Float[Tensor, "n c h w"], rng: torch.Generator, strength: float
) -> Float[Tensor, "n c h w"]:
    """A part of each image at the size of the whole, turned, and mirrored half of the time."""
    if strength == 0:
        return x
    n = len(x)
    side = 1 - strength * (1 - SMALLEST) * torch.rand(n, generator=rng)
    angle = strength * TURN * (2 * torch.rand(n, generator=rng) - 1)
    mirror = 1 - 2 * torch.randint(2, (n,), generator=rng)
    at = (1 - side)[:, None] * (2 * torch.rand(n, 2, generator=rng) - 1)
    cos, sin = side * angle.cos(), side * angle.sin()
    rows = torch.stack([mirror * cos, -sin, at[:, 0], mirror * sin, cos, at[:, 1]], 1)
    grid = F.affine_grid(rows.view(n, 2, 3).to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False).clamp(0, 1)


def color_jitter(
    x: Float[Tensor, "n c *s"], rng: torch.Generator, strength: float
) -> Float[Tensor, "n c *s"]:
    """Contrast and brightness changed, of all channels and of each by itself; and some noise."""
    if strength == 0:
        return x
    shape = (len(x), 1, *[1] * (x.ndim - 2))
    each = (len(x), x.shape[1], *shape[2:])

    def within(shape: tuple[int, ...], most: float) -> Tensor:
        return (strength * most * (2 * torch.rand(shape, generator=rng) - 1)).to(x)

    middle = x.mean(tuple(range(1, x.ndim)), keepdim=True)
    contrast = 1 + within(shape, LIGHT) + within(each, LIGHT / 4)
    brightness = within(shape, LIGHT / 2) + within(each, LIGHT / 8)
    noise = torch.randn(x.shape, generator=rng).to(x) * strength * NOISE
    return ((x - middle) * contrast + middle + brightness + noise).clamp(0, 1)


def check_strength(strength: float) -> None:
    """Raise `ConfigError` unless it is between none and full."""
    if not 0 <= strength <= 1:
        raise ConfigError(f"augment is {strength}, but the strength of views is from 0 to 1.")
