"""Batched augmentations: random resized crop, rotation, flip, color jitter, noise.

Every image of a batch gets its own augmentation, and all random numbers are from the generator,
so that a resumed run sees the same images. Crop, rotation and flip are one resampling: two would
blur twice.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from medshot.core import ConfigError

SMALLEST = 0.5  # side of the smallest crop at full strength, as a fraction of the image
TURN = math.pi / 6  # largest rotation in either direction
LIGHT, NOISE = 0.4, 0.05


def random_view(
    x: Float[Tensor, "n c h w"], rng: torch.Generator, strength: float
) -> Float[Tensor, "n c h w"]:
    """Random view of each image: crop, rotation, flip and color jitter, in [0, 1]."""
    return color_jitter(moved(x, rng, strength), rng, strength)


def moved(
    x: Float[Tensor, "n c h w"], rng: torch.Generator, strength: float
) -> Float[Tensor, "n c h w"]:
    """Random resized crop with rotation, and a flip with probability one half."""
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
    """Random contrast and brightness, jointly and for each channel, plus Gaussian noise."""
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
    """Raise `ConfigError` unless `strength` is in [0, 1]."""
    if not 0 <= strength <= 1:
        raise ConfigError(f"augment is {strength}, but the strength of views is from 0 to 1.")
